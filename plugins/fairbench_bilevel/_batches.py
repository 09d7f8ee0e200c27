"""Mini-batches that contain every group by construction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fairbench.api import NotApplicable, Samples, derive_seed
from fairbench.api.torch import Batch, as_batch, deal


def strata(train: Samples, by_label: bool) -> Tensor:
    """Return each row's stratum (n,), a consecutive code from 0: its group, or its group and label.

    Raises:
        NotApplicable: with labels, a group that has rows has none with one of the labels, so there is no rate to
            compare.
    """
    groups, codes = np.unique(train.group, return_inverse=True)
    if by_label:
        cells = np.bincount(codes * 2 + train.y, minlength=2 * len(groups))
        if not cells.all():
            lacking = int(cells.argmin())
            name = train.group_names[groups[lacking // 2]]
            raise NotApplicable(
                f"equalized odds need both labels in every group; {name!r} has no training row with y = {lacking % 2}"
            )
        codes = codes * 2 + train.y
    return torch.tensor(codes)


class StratifiedBatches:
    """Training rows, dealt anew into mini-batches on each iteration over them.

    A stratum with fewer rows than there are batches repeats its rows within an epoch, one in each batch.
    """

    def __init__(self, train: Samples, size: int, *, by_label: bool, seed: int) -> None:
        """Keep the rows as tensors.

        Args:
            train: (n,) rows.
            size: the largest number of rows in a batch (repeated rows may add to it); 0 for all in one batch.
            by_label: whether each batch must hold both labels of each group.
            seed: for dealing the rows.
        """
        self.rows = as_batch(train)
        self.stratum = strata(train, by_label)
        self.number = -(-len(train) // size) if size else 1
        self._generators = [torch.Generator().manual_seed(derive_seed("deal", seed, hand)) for hand in range(2)]

    def __iter__(self) -> Iterator[Batch]:
        """Yield every row once, or several times where its stratum has fewer rows than there are batches."""
        return self._dealt(self._generators[0])

    def pairs(self) -> Iterator[tuple[Batch, Batch]]:
        """Yield the same batches as iteration does, each paired with one from a second, independent deal."""
        return zip(self, self._dealt(self._generators[1]))

    def _dealt(self, generator: torch.Generator) -> Iterator[Batch]:
        rows, parts = self.rows, deal(self.stratum, self.number, generator)
        order = torch.cat(parts)  # one gather and then views, which is faster than a gather for each batch
        features, y, group, protected = (values[order] for values in (rows.X, rows.y, rows.group, rows.protected))
        end = 0
        for part in parts:
            start, end = end, end + len(part)
            here = slice(start, end)
            yield Batch(features[here], y[here], group[here], protected[here], rows.n_groups)

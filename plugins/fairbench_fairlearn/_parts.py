"""What the adapters share: fairlearn's names of constraints, and what every one of its methods needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

from fairbench.api import NotApplicable, Samples
from fairbench.api.base_models import limits_accepted

DEFAULT = "fairlearn's default"
AGARWAL = "Agarwal, Beygelzimer, Dudík, Langford & Wallach (2018), A reductions approach to fair classification, ICML"
MOMENTS: Mapping[str, str] = {
    "demographic_parity": "DemographicParity",
    "equalized_odds": "EqualizedOdds",
    "true_positive_rate_parity": "TruePositiveRateParity",
    "false_positive_rate_parity": "FalsePositiveRateParity",
    "error_rate_parity": "ErrorRateParity",
}
"""The constraints of the reductions, and the classes that express them."""


def moment(constraint: str, bound: Optional[float] = None) -> Any:
    """Return fairlearn's constraint: rates differ from the overall rate by at most ``bound``, by default .01."""
    import fairlearn.reductions

    return getattr(fairlearn.reductions, MOMENTS[constraint])(difference_bound=bound)


@contextmanager
def fairlearn_called() -> Iterator[None]:
    """Call fairlearn without warnings that no user can act on: of how it calls pandas, and of limits that are set."""
    with limits_accepted():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module="fairlearn")
        yield


def need_groups(train: Samples, who: str) -> None:
    """Refuse a part with rows of fewer than two groups, on behalf of ``who``.

    Raises:
        NotApplicable: it is such a part.
    """
    names = [name for code, name in enumerate(train.group_names) if (train.group == code).any()]
    if len(names) < 2:
        raise NotApplicable(f"{who} compares groups, and all {len(train)} training rows are of group {names[0]!r}")

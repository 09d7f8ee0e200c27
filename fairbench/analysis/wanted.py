"""Which methods, datasets and metrics of two runs are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from fairbench.analysis.filtered import ALL
from fairbench.analysis.values import measured_metrics
from fairbench.cells import Cell, Choice
from fairbench.choices import metric_called, parse_choices, stands_for
from fairbench.errors import UnknownName
from fairbench.records import Results


@dataclass(frozen=True)
class Wanted:
    """What is compared: methods (with the parameters that are given), datasets and metrics; None for all."""

    methods: Optional[Sequence[Choice]] = None
    datasets: Optional[Sequence[Choice]] = None
    metrics: Optional[Sequence[str]] = None

    @classmethod
    def of(cls, methods: str = "", datasets: str = "", metrics: str = "") -> Wanted:
        """Read three lists as users type them; an empty text and ``all`` stand for all.

        Raises:
            SuiteError: a list is malformed.
        """
        names = _choices(metrics)
        return cls(_choices(methods), _choices(datasets), None if names is None else [one.name for one in names])

    def keeps(self, cell: Cell) -> bool:
        """Return whether a cell is compared."""
        asked = ((self.methods, cell.method), (self.datasets, cell.dataset))
        return all(wanted is None or any(stands_for(one, here) for one in wanted) for wanted, here in asked)

    def check(self, runs: Sequence[Results]) -> None:
        """Refuse a name that neither run has."""
        cells = [record.cell for results in runs for record in results.records]
        metrics = {metric for results in runs for metric in measured_metrics(results.records, within=False)}
        for kind, wanted, known in (
            ("method", self.methods, {cell.method.name for cell in cells}),
            ("dataset", self.datasets, {cell.dataset.name for cell in cells}),
        ):
            for choice in wanted or ():
                if choice.name not in known:
                    raise UnknownName(f"{kind} of these runs", choice.name, known, _among(known))
        for metric in self.metrics or ():
            if metric_called(metric, metrics) not in metrics:
                raise UnknownName("metric of these runs", metric, metrics, _among(metrics))

    def measures(self, metric: str) -> bool:
        """Return whether the values of a metric are compared."""
        return self.metrics is None or metric in {metric_called(name, {metric}) for name in self.metrics}


def _choices(text: str) -> Optional[list[Choice]]:
    """Return the choices of a list; None if it stands for everything."""
    choices = parse_choices(text) if text else []
    return None if not choices or any(choice.name == ALL for choice in choices) else choices


def _among(known: Iterable[str]) -> str:
    return f" (they have {', '.join(sorted(known)) or 'none'})"

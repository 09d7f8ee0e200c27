"""Fits on Adult as the harness makes them, each once; the tests of FairBiNN beside import this by its name."""

from __future__ import annotations

import numpy as np

from fairbench.data.files import DataSource
from fairbench.plugins.loading import load_plugins
from fairbench.records import Record
from fairbench.running.cell import Workbench, run_cell
from fairbench.running.suite import Suite, plan

METRICS = {
    "accuracy": "accuracy",
    "score_gap": "mean_score_difference",
    "gap": "demographic_parity_difference",
    "odds": "equalized_odds_difference",
    "selected": "selection_rate",
}
PLAIN = "mlp[hidden=(64,32,32),batch_size=200,epochs=20]"


class Adult:
    """Adult with 101 features, sex among them, in so many repeats; 20 epochs in batches of 200."""

    def __init__(self, repeats: int) -> None:
        """Load plugins; data are read and methods fitted when they are asked for."""
        self.registry, _ = load_plugins()
        self.workbench = Workbench(self.registry, DataSource(offline=True))
        self.repeats = repeats
        self.made: dict[str, list[Record]] = {}

    def records(self, method: str) -> list[Record]:
        """Return a record for each repeat of a choice such as ``fairbinn[eta=3]``, fitted when first asked for."""
        if method not in self.made:
            made = [run_cell(cell, self.workbench).record for cell in plan(self.suite(method), self.registry)]
            assert {record.status for record in made} == {"done"}
            self.made[method] = made
        return self.made[method]

    def means(self, method: str) -> dict[str, float]:
        """Return means over repeats on test, by the names in ``METRICS``."""
        found = [{v.metric: v.value for v in record.values if not v.group} for record in self.records(method)]
        return {name: float(np.mean([values[metric] for values in found])) for name, metric in METRICS.items()}

    def suite(self, method: str) -> Suite:
        """Return the method's suite."""
        every = {"any": {name: {"epochs": 20} for name in ("fairbinn", "fairbinn_coupled", "lagrangian_dp")}}
        return Suite(
            "adult",
            ("adult[education=both]",),
            (method,),
            sensitive_as_feature=(True,),
            repeats=self.repeats,
            parameters=every,
        )

"""A dataset drawn from a known distribution, for which the best possible classifiers are known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from fairbench.api import Dataset, DatasetSpec, Reference, hookimpl, parameter
from fairbench_datasets._synthetic_model import PRESETS, Distribution

if TYPE_CHECKING:
    from fairbench_datasets._synthetic_truth import Truth

NOISE_COLUMNS = 5


@dataclass(frozen=True)
class Synthetic:
    """Two groups, one informative feature x, a proxy z for the group, and five columns of noise; y = 1 is favourable.

    There are three settings: ``equal`` (groups of one size, base rates .6 and .3), ``small`` (a protected group of
    15% for which x is less informative) and ``biased`` (equal true base rates, but 30% of the protected group's true
    positives are recorded as negatives). Every other parameter that is not None overrides the setting's value.
    ``truth()`` gives the Bayes-optimal classifiers and the best accuracies under a fairness constraint. The true
    outcome, before labels are flipped, is not part of the dataset.
    """

    name = "synthetic"
    files = ()
    licence = "none needed: drawn by fairbench"
    sensitive_features = ("group",)
    setting: str = parameter("equal", "the distribution to start from", choices=tuple(PRESETS))
    rows: int = parameter(5000, "number of rows", minimum=100)
    group_share: Optional[float] = parameter(None, "share of the protected group", minimum=0, maximum=1)
    base_rate_gap: Optional[float] = parameter(
        None,
        "true base rate of the unprotected group, which stays fixed, minus that of the protected group",
        minimum=-1,
        maximum=1,
    )
    proxy_strength: Optional[float] = parameter(
        None,
        "difference between the groups in P(z = 1), centred where the setting's is; 0 makes z one more noise column",
        minimum=-1,
        maximum=1,
    )
    label_noise: Optional[float] = parameter(
        None,
        "chance that a label is flipped; the setting's extra flips in the protected group are kept",
        minimum=0,
        maximum=1,
    )
    data_seed: int = parameter(0, "seed of the draw", minimum=0)

    def distribution(self) -> Distribution:
        """Return the setting with the overrides applied.

        Raises:
            DataError: an override makes a probability leave its range.
        """
        model = PRESETS[self.setting]
        if self.group_share is not None:
            model = replace(model, share=self.group_share)
        if self.base_rate_gap is not None:
            model = replace(model, base_rate=(model.base_rate[0], model.base_rate[0] - self.base_rate_gap))
        if self.proxy_strength is not None:
            middle = sum(model.proxy) / 2
            model = replace(model, proxy=(middle - self.proxy_strength / 2, middle + self.proxy_strength / 2))
        if self.label_noise is not None:
            bias = model.missed[1] - model.missed[0]
            model = replace(model, missed=(self.label_noise, self.label_noise + bias), invented=self.label_noise)
        return model

    def truth(self) -> Truth:
        """Return what is optimal under this distribution; nothing is drawn."""
        from fairbench_datasets._synthetic_truth import Truth

        return Truth(self.distribution())

    def references(self) -> list[Reference]:
        """Return the most accurate classifiers, without and with equal selection rates, with their exact rates."""
        truth, note = self.truth(), "exact values under its distribution"
        parity = truth.optimum("demographic_parity", 0.0)
        best = {
            "the Bayes-optimal classifier that sees x and the group": truth.aware,
            "the Bayes-optimal classifier that sees x and z": truth.blind,
            "the most accurate classifier with equal selection rates that sees x and the group": parity,
        }
        return [
            Reference(
                name,
                {
                    "accuracy": rates.accuracy,
                    "demographic_parity_difference": rates.demographic_parity_difference,
                    "equalized_odds_difference": rates.equalized_odds_difference,
                },
                note,
            )
            for name, rates in best.items()
        ]

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Draw the rows; no file is read.

        The uniforms behind each step do not depend on the parameters, so two settings with the same ``data_seed`` and
        number of rows differ only where their probabilities do.
        """
        import pandas as pd

        model = self.distribution()
        generator = np.random.default_rng(self.data_seed)
        chance_group, chance_outcome, chance_proxy, chance_flip = generator.random((4, self.rows))
        normal = generator.standard_normal((self.rows, 1 + NOISE_COLUMNS))
        group = (chance_group < model.share).astype(int)
        outcome = chance_outcome < np.take(model.base_rate, group)
        x = np.take(model.shift, group) + np.take(model.effect, group) * outcome + normal[:, 0]
        flipped = chance_flip < np.where(outcome, np.take(model.missed, group), model.invented)
        features = {"x": x, "z": (chance_proxy < np.take(model.proxy, group)).astype(int)}
        features.update({f"noise_{column}": normal[:, column] for column in range(1, 1 + NOISE_COLUMNS)})
        return Dataset(
            name=self.name,
            X=pd.DataFrame(features),
            y=outcome ^ flipped,
            sensitive_features=pd.DataFrame({"group": np.where(group == 1, "protected", "unprotected")}),
            protected_group={"group": "protected"},
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Synthetic]

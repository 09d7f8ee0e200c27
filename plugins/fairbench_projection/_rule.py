"""What a method constrains: which means, within what tolerance, in which space, for which attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fairbench.api import NotApplicable, Schema
from fairbench.api.projection import Box, Contrasts, solve_contrasts, solve_parity

PROBABILITIES = Box(1e-6, 1 - 1e-6)  # so that a cross-entropy stays finite
EVERYWHERE = Box(-math.inf, math.inf)


class Projected(NamedTuple):
    """Outputs (n,), and the shift of each group's scores, a pair (G, 2): the share 1 - p of the first, p of the second.

    p is a row's own chance of y = 1; both shifts are the same unless the constraint is about labels that are not known.
    """

    value: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Rule:
    """A constraint on a model's scores.

    Args:
        metric: ``mean_prediction``, ``mean_residual`` or ``equalized_odds``.
        epsilon: >= 0.
        space: ``probability`` or ``logit``: what the scores are.
        marginal: constrain the attributes that the groups combine one by one, instead of all combinations.
        schema: names of the groups.
        package: take the bounds that the released package's documentation recommends.
    """

    metric: str
    epsilon: float
    space: str
    marginal: bool
    schema: Schema
    package: bool = False

    def __post_init__(self) -> None:
        """Check that the settings fit together.

        Raises:
            NotApplicable: they do not.
        """
        if self.metric == "mean_residual" and self.space == "logit":
            raise NotApplicable(
                "mean_residual compares scores with labels, which logits are not; use space=probability"
            )
        if self.marginal:
            self.attributes()

    @property
    def box(self) -> Box:
        """Return the interval that the outputs lie in."""
        if self.package:
            return Box(0.0, 1.0) if self.space == "probability" else Box(-1000.0, 1000.0)
        return PROBABILITIES if self.space == "probability" else EVERYWHERE

    def attributes(self) -> np.ndarray:
        """Return each group's codes (G, 2) on the two attributes that the groups combine, 0 and 1 in order of name.

        Raises:
            NotApplicable: the groups do not combine two attributes, or one of them does not have two values.
        """
        parts = [name.split(", ") for name in self.schema.group_names]
        count = len(parts[0])
        if count == 1 or any(len(part) != count for part in parts):
            raise NotApplicable(
                "attributes=marginal constrains two sensitive attributes one by one; name both, as in sex,race"
            )
        if count > 2:
            raise NotApplicable(
                f"attributes=marginal takes two sensitive attributes, but there are {count}; constrain their "
                "combinations with attributes=joint"
            )
        values = [sorted({part[place] for part in parts}) for place in range(2)]
        if max(map(len, values)) > 2:
            raise NotApplicable(
                f"attributes=marginal needs attributes of two values; here they are {values[0]} and {values[1]}: use "
                "attributes=joint"
            )
        return np.array([[values[place].index(part[place]) for place in range(2)] for part in parts])

    def codes(self, group: np.ndarray) -> np.ndarray:
        """Return the groups as the projection layer takes them: (n,), or (n, 2) if they are marginal."""
        return self.attributes()[group] if self.marginal else group

    def project(self, score: np.ndarray, group: np.ndarray, chance: np.ndarray, y: np.ndarray | None) -> Projected:
        """Return the nearest outputs that satisfy the constraint, and the shifts that lead to them.

        Args:
            score: (n,) in the rule's space.
            group: (n,) codes.
            chance: (n,) each row's own chance of y = 1, which stands for its label in equalized odds.
            y: (n,) labels; only ``mean_residual`` reads them.

        Raises:
            Infeasible: the constraint contradicts the box.
        """
        groups = len(self.schema.group_names)
        if self.metric == "equalized_odds":
            return self._odds(score, group, chance)
        if self.metric == "mean_prediction" and not self.marginal:
            solution = solve_parity(score, group, groups, self.epsilon, self.box)
            return Projected(solution.value, np.repeat(solution.shift[:, None], 2, axis=1))
        codes = self.codes(group)
        parity = self.metric == "mean_prediction"
        contrasts = Contrasts.mean_prediction(codes) if parity else Contrasts.mean_residual(codes, y)
        solution = solve_contrasts(score, contrasts, np.full(len(contrasts.offset), self.epsilon), self.box)
        cells = self.attributes() @ [2, 1] if self.marginal else np.arange(groups)
        by_cell = np.zeros(max(groups, 4))
        by_cell[: len(solution.shift)] = solution.shift
        return Projected(solution.value, np.repeat(by_cell[cells][:, None], 2, axis=1))

    def _odds(self, score: np.ndarray, group: np.ndarray, chance: np.ndarray) -> Projected:
        """Return outputs whose means, weighted by the chance of each label, lie within epsilon between all groups."""
        sides = self.attributes().T if self.marginal else [np.arange(len(self.schema.group_names))]
        rows, shares = [], []  # of each contrast: its weights (n,); and the same (G, 2) as factors of 1 - p and p
        for side in sides:
            member = side[group]
            for first, second in combinations(np.unique(member), 2):
                for label in (0, 1):
                    weight = chance if label else 1 - chance
                    totals = [weight[member == value].sum() for value in (first, second)]
                    if min(totals) == 0:  # the model is so sure that the label has no rows in a group
                        continue
                    row, share = np.zeros(len(score)), np.zeros((len(side), 2))
                    for value, sign, total in zip((first, second), (1, -1), totals):
                        row[member == value] = sign * weight[member == value] / total
                        share[side == value, label] = sign / total
                    rows.append(row)
                    shares.append(share)
        if not rows:
            return Projected(self.box.clip(score), np.zeros((len(self.schema.group_names), 2)))
        contrasts = Contrasts.affine(np.array(rows))
        solution = solve_contrasts(score, contrasts, np.full(len(rows), self.epsilon), self.box)
        return Projected(solution.value, np.tensordot(solution.multiplier, np.array(shares), axes=1))

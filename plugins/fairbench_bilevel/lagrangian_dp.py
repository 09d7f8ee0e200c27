"""The Lagrangian baseline: one optimiser for everything, the fairness loss added with a fixed weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from fairbench.api import Method, hookimpl
from fairbench.api.torch import Layers

from ._batches import StratifiedBatches
from ._gradients import Pass, accuracy_slope, fairness_slope
from ._penalties import Penalty
from ._players import Player, SplitNetwork
from ._training import FairNetwork, Play


@dataclass(frozen=True)
class LagrangianDP(FairNetwork):
    """Minimise cross-entropy + eta * fairness loss over all layers with one optimiser: FairBiNN's own baseline.

    The network is FairBiNN's with the same initial weights and batches, so that the two differ in who moves what, and
    how fast: here the fairness block moves at ``lr``, as all layers do. (The released baseline inserts the fairness
    block twice and gives the layers behind it two steps for every one of the others; neither is done here.)

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN: On Balancing Fairness and Accuracy via Stackelberg Equilibrium,
        NeurIPS: the Lagrangian approach of theorem 9.
    """

    name = "lagrangian_dp"
    uses_group = ("training",)

    def game(self, model: SplitNetwork, penalty: Penalty, eta: float) -> tuple[list[Player], Play]:
        """Return the only player, and how it plays."""
        everyone = Player([*model.leading(), *model.following()], self.lr, decay=self.lr_decay)
        parts = [Layers(part) for part in model.parts]

        def play(batches: StratifiedBatches) -> Iterator[tuple[Tensor, Tensor]]:
            for batch in batches:
                run = Pass(parts, batch.X)
                bce, by_accuracy = accuracy_slope(run.output, batch.y)
                unfairness, by_fairness = fairness_slope(penalty, eta, run.output, batch)
                (before, block, after), _ = run.back(by_accuracy + by_fairness, (True, True, True))
                everyone.step([*before, *after, *block])
                yield bce, unfairness

        return [everyone], play


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [LagrangianDP]

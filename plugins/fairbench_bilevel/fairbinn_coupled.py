"""FairBiNN as its released code computes it: the accuracy layers feel the fairness loss as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from fairbench.api import Method, hookimpl, parameter
from fairbench.api.torch import Layers

from ._batches import StratifiedBatches
from ._gradients import Pass, accuracy_slope, fairness_slope
from ._penalties import Penalty
from ._players import Player, SplitNetwork
from ._training import RELEASED, Bilevel, Play


@dataclass(frozen=True)
class FairBiNNCoupled(Bilevel):
    """Let the fairness block follow the fairness loss, and all other layers the sum of both losses' gradients.

    In the released code gradients are cleared once per mini-batch and not between the two backward passes. So the
    accuracy layers step along the gradient of the cross-entropy (after the block has moved) plus that of the fairness
    loss (before), where the paper has the first alone: eta acts on them as a Lagrange multiplier. ``fairbinn`` is the
    algorithm as printed, ``coupling = 0`` its variant with one batch for both players.

    Unlike in the released code, rows are shuffled and every batch contains every group.

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN, NeurIPS; the released code's tabular, graph and vision training alike.
    """

    name = "fairbinn_coupled"
    uses_group = ("training",)

    coupling: float = parameter(
        1.0,
        "factor on the fairness gradient in the accuracy layers' step; 0 separates the players",
        source=RELEASED,
        minimum=0,
    )

    def game(self, model: SplitNetwork, penalty: Penalty, eta: float) -> tuple[list[Player], Play]:
        """Return leader and follower, and how they play: the follower first, both on the same batch."""
        leader = Player(model.leading(), self.lr, decay=self.lr_decay)
        follower = Player(model.following(), self.fair_lr, decay=self.fair_lr_decay)
        before, block, after = (Layers(part) for part in model.parts)
        reaches = len(before) > 0

        def play(batches: StratifiedBatches) -> Iterator[tuple[Tensor, Tensor]]:
            for batch in batches:
                # The layers before the block are run forwards and backwards once for both losses: their gradient comes
                # through their output to the block, and is linear in the gradient there.
                outer = Pass([before], batch.X)
                inner = Pass([block, after], outer.output)
                unfairness, slope = fairness_slope(penalty, eta, inner.output, batch)
                (by_block, leaked), leaked_before = inner.back(slope, (True, True), inputs=reaches)
                follower.step(by_block)

                inner = Pass([block, after], outer.output)
                bce, slope = accuracy_slope(inner.output, batch.y)
                (_, by_after), felt = inner.back(slope, (False, True), inputs=reaches)
                by_both = [mine + self.coupling * theirs for mine, theirs in zip(by_after, leaked)]
                if reaches:
                    (by_before,), _ = outer.back(felt + self.coupling * leaked_before, (True,))
                    by_both = [*by_before, *by_both]
                leader.step(by_both)
                yield bce, unfairness

        return [leader, follower], play


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [FairBiNNCoupled]

"""FairBiNN as its released code computes it: the accuracy layers feel the fairness loss as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.autograd import grad
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import hookimpl, parameter

from ._batches import StratifiedBatches
from ._players import Player, SplitNetwork
from ._training import RELEASED, Bilevel, Penalty, Play


@dataclass(frozen=True)
class FairBiNNCoupled(Bilevel):
    """Let the fairness block follow the fairness loss, and all other layers the sum of both losses' gradients.

    In the released code gradients are cleared once for each mini-batch and not between the two backward passes. So the
    accuracy layers step along the gradient of the cross-entropy (after the block has moved) plus that of the fairness
    loss (before), where the paper has the first alone: eta acts on them as a Lagrange multiplier. ``fairbinn`` is the
    algorithm as printed, ``coupling = 0`` its variant with one batch for both players.

    Other than in the released code, rows are shuffled and every batch holds every group.

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN, NeurIPS; the released code's tabular, graph and vision training alike.
    """

    name = "fairbinn_coupled"

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
        outer, inner = list(model.before.parameters()), list(model.after.parameters())
        n_block = len(follower.parameters)

        def play(batches: StratifiedBatches) -> Iterator[tuple[Tensor, Tensor]]:
            for batch in batches:
                # The layers before the block are run forwards and backwards once for both losses: their gradient comes
                # through what they hand to the block, and is linear in it.
                handed = model.before(batch.X)
                seen = handed.detach().requires_grad_(bool(outer))
                felt = [*inner, seen] if outer else inner  # what both losses are differentiated by

                logit = model.after(model.block(seen))
                unfairness = penalty(logit, batch)
                by_fairness = grad(eta * unfairness, [*follower.parameters, *felt])
                follower.step(by_fairness[:n_block])

                bce = cross_entropy(model.after(model.block(seen)), batch.y)
                by_both = [
                    mine + self.coupling * leaked for mine, leaked in zip(grad(bce, felt), by_fairness[n_block:])
                ]
                through = grad(handed, outer, by_both[-1]) if outer else ()
                leader.step([*through, *by_both[: len(inner)]])
                yield bce.detach(), unfairness.detach()

        return [leader, follower], play


@hookimpl
def fairbench_methods():
    """Return the method."""
    return [FairBiNNCoupled]

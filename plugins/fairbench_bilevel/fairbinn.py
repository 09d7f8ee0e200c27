"""FairBiNN as published: the accuracy layers follow their loss alone, the fairness block follows its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.autograd import grad
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Method, hookimpl, parameter
from fairbench.api.torch import Batch, Layers, Model, unroll

from ._batches import StratifiedBatches
from ._gradients import Pass, accuracy_slope, fairness_slope
from ._penalties import Penalty
from ._players import OPTIMIZERS, Player, SplitNetwork
from ._training import PAPER, Bilevel, Play

ORDERS = ("accuracy_first", "fairness_first")
Losses = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FairBiNN(Bilevel):
    """Alternate steps of a leader (all other layers, cross-entropy) and a follower (the fairness block, fairness loss).

    Each player descends the gradient of its own loss with respect to its own layers, and nothing else. Two things
    follow: Adam cancels a constant factor on a loss, so eta has next to no effect here (it does have one with plain
    gradient descent, ``sgd``); and the follower's loss knows nothing of accuracy, so its best response is to make all
    scores the same.
    ``fairbinn_coupled`` is what the released code computes instead.

    With ``unroll_steps`` the leader differentiates through that many gradient steps of the follower (of size
    ``fair_lr``), which the paper's text describes and its code does not do; ``order``, ``follower_steps`` and
    ``follower_optimizer`` are then ignored.

    References:
        Yazdani-Jahromi et al. (2024), FairBiNN: On Balancing Fairness and Accuracy via Stackelberg Equilibrium,
        NeurIPS, algorithm 1.
    """

    name = "fairbinn"
    uses_group = ("training",)

    order: str = parameter(
        "accuracy_first", "who moves first in a round", source=f"{PAPER}, algorithm 1", choices=ORDERS
    )
    same_batch: bool = parameter(
        False, "give both players the same mini-batch instead of one each", source=f"{PAPER}, algorithm 1"
    )
    follower_steps: int = parameter(1, "steps of the follower in a round", source=f"{PAPER}, algorithm 1", minimum=1)
    follower_optimizer: str = parameter(
        "adam", "optimiser of the fairness block", source=f"{PAPER}, table 2", choices=tuple(OPTIMIZERS)
    )
    unroll_steps: int = parameter(
        0, "steps of the follower that the leader differentiates through; 0 for none", source=PAPER, minimum=0
    )

    def game(self, model: SplitNetwork, penalty: Penalty, eta: float) -> tuple[list[Player], Play]:
        """Return leader and follower, and how they play."""
        leader = Player(model.leading(), self.lr, decay=self.lr_decay)
        follower = Player(model.following(), self.fair_lr, decay=self.fair_lr_decay, optimizer=self.follower_optimizer)
        parts = before, block, after = [Layers(part) for part in model.parts]

        def lead(batch: Batch) -> Tensor:
            run = Pass(parts, batch.X)
            bce, slope = accuracy_slope(run.output, batch.y)
            (by_before, _, by_after), _ = run.back(slope, (True, False, True))
            leader.step([*by_before, *by_after])
            return bce

        def follow(batch: Batch) -> Tensor:
            handed = Pass([before], batch.X).output
            for _ in range(self.follower_steps):
                run = Pass([block, after], handed)
                unfairness, slope = fairness_slope(penalty, eta, run.output, batch)
                (by_block, _), _ = run.back(slope, (True, False))
                follower.step(by_block)
            return unfairness

        def anticipate(mine: Batch, theirs: Batch) -> Losses:
            handed = model.before(theirs.X)
            seen: list[Tensor] = []

            def loss(block: Model) -> Tensor:
                seen.append(penalty(model.after(block(handed)), theirs))
                return eta * seen[-1]

            response = unroll(model.block, loss, steps=self.unroll_steps, lr=follower.rate)
            bce = cross_entropy(model.after(response(model.before(mine.X))), mine.y)
            leader.step(grad(bce, leader.parameters))
            follower.move(response.parameters())
            return bce.detach(), seen[-1].detach()

        def play(batches: StratifiedBatches) -> Iterator[Losses]:
            for mine, theirs in ((batch, batch) for batch in batches) if self.same_batch else batches.pairs():
                if self.unroll_steps:
                    yield anticipate(mine, theirs)
                elif self.order == "accuracy_first":
                    yield lead(mine), follow(theirs)
                else:
                    unfairness = follow(theirs)
                    yield lead(mine), unfairness

        return [leader, follower], play


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [FairBiNN]

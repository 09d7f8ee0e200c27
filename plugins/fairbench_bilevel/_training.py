"""What the methods share: hyper-parameters, losses, training in rounds, and the choice among several values of eta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable, ClassVar, Optional, Union

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import (
    Fitted,
    NotApplicable,
    Options,
    Predictions,
    Predictor,
    Range,
    Samples,
    derive_seed,
    group_rates,
    parameter,
)
from fairbench.api.torch import Model, as_batch, predictor, train_model

from ._batches import StratifiedBatches
from ._penalties import PENALTIES, Penalty, make_penalty, needs_labels
from ._players import Player, SplitNetwork, block_place

PAPER = "Yazdani-Jahromi et al., FairBiNN (NeurIPS 2024)"
RELEASED = f"{PAPER}, released code"
TRIVIAL = 0.01  # selecting fewer rows than this share, or leaving out fewer, is not a trade-off
FALLS_EVERY = 50  # epochs, after which the released code lowers the learning rates

Play = Callable[[StratifiedBatches], Iterator[tuple[Tensor, Tensor]]]
"""The batches of an epoch -> for each round of moves, the cross-entropy and the penalty seen in it, detached."""


@dataclass(frozen=True)
class FairNetwork:
    """Hyper-parameters of a network that is trained for accuracy and for a fairness loss."""

    name: ClassVar[str]
    ranges: ClassVar[Mapping[str, Union[Range, Options]]] = {
        "eta": Options((0.3,), (1.0,), (3.0,), (10.0,), (30.0,), source="own: around the default"),
        "lr": Range(1e-4, 1e-2, log=True, source="own: from a tenth to ten times the paper's"),
    }

    eta: tuple[float, ...] = parameter(
        (3.0,),
        "weight of the fairness loss; if there are several, each is an operating point and one is chosen on validation",
        source="own: of 0.3, 3 and 30 the largest that costs at most 0.02 of validation accuracy on adult and compas",
        minimum=0,
    )
    loss: str = parameter(
        "dp_sq",
        "gap in mean scores: of demographic parity squared, absolute, or as in the released code; of equalized odds "
        "squared (mean over both labels) or absolute (the worse label)",
        choices=tuple(PENALTIES),
    )
    hidden: tuple[int, ...] = parameter(
        (64, 32), "width of each hidden layer, not counting the fairness block", source=f"{PAPER}, table 2 (Adult)"
    )
    fair_layers: tuple[int, ...] = parameter(
        (),
        "widths of the fairness block, beginning and ending with that of its input; none for one square layer",
        source=f"{PAPER}, table 2 (Adult)",
    )
    position: int = parameter(
        0,
        "number of the linear layer before which the block is inserted, from 1; 0 for the last one",
        source=f"{PAPER}, ablation of the position",
        minimum=0,
    )
    lr: float = parameter(1e-3, "learning rate of Adam, accuracy layers", source=f"{PAPER}, table 2", minimum=0)
    lr_decay: float = parameter(
        0.5, f"factor on lr after every {FALLS_EVERY} epochs", source=RELEASED, minimum=0, maximum=1
    )
    batch_size: int = parameter(
        200,
        "rows per step, some from every group (a group with fewer rows than there are steps repeats its rows); 0 for "
        "all rows",
        source=RELEASED,
        minimum=0,
    )
    epochs: int = parameter(50, "the largest number of epochs", source=f"{PAPER}, table 2", minimum=1)
    patience: Optional[int] = parameter(
        None,
        "epochs without a smaller validation loss (cross-entropy + eta * fairness loss) before stopping with the best "
        "weights; none for all epochs and the last weights",
        source=f"{RELEASED}: no validation part",
        minimum=1,
    )
    accuracy_slack: float = parameter(
        0.02,
        "of several eta, the one with the smallest gap on validation is chosen, among those whose accuracy there is "
        "at most this far below the best, and which select 1% to 99% of the rows if any does",
        source="own",
        minimum=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        """Check the weights, and that the fairness block fits, as far as that can be known without the data."""
        if not self.eta or len(set(map(_point, self.eta))) < len(self.eta):
            raise NotApplicable(f"{self.name}: eta is {self.eta}; give one weight or several different ones")
        try:
            block_place(self.hidden, self.fair_layers, self.position)
        except NotApplicable as reason:
            raise NotApplicable(f"{self.name}: {reason}") from None

    def game(self, model: SplitNetwork, penalty: Penalty, eta: float) -> tuple[list[Player], Play]:
        """Return the players, a follower last, and how they play through an epoch."""
        raise NotImplementedError

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return a predictor for each eta, named ``eta=...`` if there are several, and all training curves.

        Raises:
            NotApplicable: the fairness block does not fit the features, or equalized odds lack rows.
        """
        points: dict[str, Predictor] = {}
        diagnostics: dict[str, list[float]] = {}
        for eta in self.eta:
            name = _point(eta) if len(self.eta) > 1 else ""
            points[name], curves = self._train(train, validation, eta, seed=seed)
            diagnostics.update({f"{name} {curve}".strip(): values for curve, values in curves.items()})
        return Fitted(points, self._choose(points, validation), diagnostics)

    def _train(
        self, train: Samples, validation: Samples, eta: float, *, seed: int
    ) -> tuple[Predictor, dict[str, list[float]]]:
        by_label, penalty = needs_labels(self.loss), make_penalty(self.loss, train)
        batches = StratifiedBatches(train, self.batch_size, by_label=by_label, seed=derive_seed("batches", seed))
        rows = batches.rows
        model = SplitNetwork(rows.n_features, self.hidden, self.fair_layers, self.position, seed=seed)
        players, play = self.game(model, penalty, eta)

        def step(epoch: int) -> dict[str, float]:
            for player in players:
                player.begin(epoch // FALLS_EVERY)
            mean = torch.stack([torch.stack(losses) for losses in play(batches)]).mean(dim=0)
            moved = {"follower_displacement": players[-1].displacement()} if len(players) > 1 else {}
            return {"training_bce": float(mean[0]), "training_penalty": float(mean[1]), **moved}

        observer = Observer(validation, penalty, eta, by_label=by_label)
        curves = train_model(model, step, observer, epochs=self.epochs, patience=self.patience)
        with torch.no_grad():
            logit = model(rows.X)
            final = {
                "final_training_bce": [float(cross_entropy(logit, rows.y))],
                "final_training_penalty": [float(penalty(logit, rows))],
            }
        return predictor(nn.Sequential(*model.parts)), {**curves, **observer.curves, **final}

    def _choose(self, points: dict[str, Predictor], validation: Samples) -> str:
        seen, telling = {}, []
        for name, predict in points.items():
            y_pred = predict(validation.inputs).y_pred
            gap = decision_gap(validation, y_pred, by_label=needs_labels(self.loss))
            seen[name] = gap, float((y_pred == validation.y).mean())
            if TRIVIAL <= y_pred.mean() <= 1 - TRIVIAL:
                telling.append(name)
        candidates = telling or list(seen)
        floor = max(seen[name][1] for name in candidates) - self.accuracy_slack
        eligible = [name for name in candidates if seen[name][1] >= floor]
        return min(eligible, key=lambda name: (seen[name][0], -seen[name][1]))


@dataclass(frozen=True)
class Bilevel(FairNetwork):
    """The same, with a fairness block that is a player of its own."""

    fair_lr: float = parameter(
        1e-5, "learning rate of the fairness block's optimiser", source=f"{PAPER}, table 2", minimum=0
    )
    fair_lr_decay: float = parameter(
        0.9, f"factor on fair_lr after every {FALLS_EVERY} epochs", source=RELEASED, minimum=0, maximum=1
    )


def _point(eta: float) -> str:
    return f"eta={eta:g}"


class Observer:
    """The validation loss, cross-entropy + eta * penalty; other quantities seen on the way are in ``curves``."""

    def __init__(self, validation: Samples, penalty: Penalty, eta: float, *, by_label: bool) -> None:
        """Keep the rows as tensors."""
        self._samples, self._rows = validation, as_batch(validation)
        self._penalty, self._eta, self._by_label = penalty, eta, by_label
        self.curves: dict[str, list[float]] = {}

    def __call__(self, model: Model) -> Tensor:
        """Return the loss of the model in its present state."""
        logit = model(self._rows.X)
        bce, penalty = cross_entropy(logit, self._rows.y), self._penalty(logit, self._rows)
        y_pred = (logit >= 0).reshape(-1).numpy().astype(np.int64)
        for name, value in {
            "validation_bce": float(bce),
            "validation_penalty": float(penalty),
            "validation_accuracy": float((y_pred == self._samples.y).mean()),
            "validation_gap": decision_gap(self._samples, y_pred, by_label=self._by_label),
            "validation_positive_rate": float(y_pred.mean()),
        }.items():
            self.curves.setdefault(name, []).append(value)
        return bce + self._eta * penalty


def decision_gap(samples: Samples, y_pred: np.ndarray, *, by_label: bool) -> float:
    """Return the demographic parity difference of decisions (n,), or by label their equalized odds difference.

    A group without rows (of a label) does not count; where fewer than two are left the gap is 0.
    """
    rates = group_rates(samples, Predictions(y_pred))
    compared = (rates.true_positive, rates.false_positive) if by_label else (rates.selection,)
    known = [rate[~np.isnan(rate)] for rate in compared]
    return max(float(np.ptp(rate)) if len(rate) else 0.0 for rate in known)

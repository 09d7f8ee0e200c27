"""FaAlGrad: one part of the training rows in the inner loop, the other in the outer one, no fairness term anywhere.

Malik & Mopuri, FaAlGrad: Fairness through Alignment of Gradients across Different Subpopulations (TMLR).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable, ClassVar

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from fairbench.api import Episode, Fitted, Method, NotApplicable, Range, Samples, derive_seed, hookimpl, parameter
from fairbench.api.optimisers import Adam
from fairbench.api.torch import (
    ACTIVATIONS,
    Batch,
    Perceptron,
    as_batch,
    gradient,
    mlp,
    one_thread,
    predictor,
    train_model,
    unroll,
    weighted_loss,
)

from ._stacked import Shared, train_together
from ._written_out import InnerLoop, Outer, written_out

SPLITS = ("config1", "config2", "config2_released", "proportions", "swapped")
PAPER = "Malik & Mopuri, FaAlGrad (TMLR)"
REFERENCE = f"{PAPER}, the authors' code for COMPAS"


def partition(train: Samples, split: str, *, support_share: float, seed: int) -> Episode:
    """Divide the training rows into the support set X_s (inner loop) and the query set X_q (outer loop).

    - ``config1``: X_s is the protected group, X_q all the others.
    - ``config2``: X_s counters the bias that a plain model shows: protected rows with the favourable label and the
      others with the unfavourable one. X_q has the other two cells.
    - ``config2_released``: as ``config2``, with X_s and X_q exchanged. The authors' code for COMPAS asks for the rows
      that the paper names, but its labels are inverted by then (1 means not reoffending), so that it draws the opposite
      set.
    - ``proportions``: X_s has protected rows only, drawn at random, as many as ``support_share`` of the *whole*
      training part (0.2 for X_q : X_s = 80 : 20); X_q has the remaining protected rows and all the others.
    - ``swapped``: as ``proportions``, with the roles of protected and unprotected rows exchanged.

    With more than two groups, the protected group is set against all the others.

    Args:
        train: (n,) rows; ``schema`` says who is protected and which label is favourable.
        split: one of these names.
        support_share: share of the n rows in X_s, in (0, 1); read by ``proportions`` and ``swapped`` only.
        seed: for the draw of ``proportions`` and ``swapped``.

    Returns:
        Two disjoint parts that together hold every training row once, each in the order of ``train``.

    Raises:
        NotApplicable: there are too few rows of the kind for the share, or a part is empty.
        ValueError: the split is unknown.

    References:
        The paper, sections 4 (``config1``), 5.4 (``config2``), 5.5 (``proportions``) and 5.6 (``swapped``); the
        authors' code (``config2_released``).
    """
    favoured = train.y == train.schema.favorable_label
    if split == "config1":
        support = train.protected
    elif split == "config2":
        support = train.protected == favoured
    elif split == "config2_released":
        support = train.protected != favoured
    elif split == "proportions":
        support = _share(train.protected, support_share, "protected", seed)
    elif split == "swapped":
        support = _share(~train.protected, support_share, "unprotected", seed)
    else:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
    if support.all() or not support.any():
        raise NotApplicable(
            f"{split} puts {int(support.sum()):,} of {len(train):,} training rows into the support set; both the "
            f"support and the query set need rows (protected: {int(train.protected.sum()):,})"
        )
    return Episode(support=train.select(support), query=train.select(~support))


def _share(side: np.ndarray, share: float, name: str, seed: int) -> np.ndarray:
    """Return a mask (n,) of rows drawn from one side, as many as the share of all n (halves are rounded up)."""
    needed, candidates = int(share * len(side) + 0.5), np.flatnonzero(side)
    if needed > len(candidates):
        raise NotApplicable(
            f"the share {share:g} of {len(side):,} training rows needs {needed:,} {name} rows; "
            f"there are {len(candidates):,}"
        )
    mask = np.zeros(len(side), dtype=bool)
    mask[np.random.default_rng(seed).choice(candidates, size=needed, replace=False)] = True
    return mask


def in_graph(model: Perceptron, support: Batch, query: Batch, loop: InnerLoop) -> Callable[[], Outer]:
    """Return what computes an epoch from the model's weights through torch's graph."""
    support_loss, query_loss = weighted_loss(support), weighted_loss(query)

    def epoch() -> Outer:
        adapted = unroll(model, support_loss, steps=loop.steps, lr=loop.lr, first_order=loop.first_order)
        plain = None
        if loop.plain:
            by_support = adapted.first_gradient() if loop.steps else gradient(model, support_loss)
            plain = by_support, gradient(model, query_loss)
        loss = query_loss(adapted)
        return Outer(loss.detach(), torch.autograd.grad(loss, list(model.parameters())), plain)

    return epoch


@dataclass(frozen=True)
class FaAlGrad:
    """Minimise the query loss after inner steps on the support set, which aligns the two parts' gradients.

    In an epoch theta_I comes from theta by I full-batch steps of gradient descent on the support loss, and theta moves
    against the gradient of the query loss at theta_I, taken through all inner steps (eqs. 5 and 6 of the paper).
    Predictions use theta, from the epoch with the smallest validation loss. The group is not an input.

    ``gradient_cosine`` among the diagnostics is the quantity that the method means to raise: the cosine between the two
    parts' loss gradients at theta, before each epoch (0 where one of them vanishes).
    """

    name = "faalgrad"
    uses_group = ("training",)
    ranges: ClassVar[Mapping[str, Range]] = {
        "inner_lr": Range(1e-3, 1e-1, log=True, source=f"{PAPER}, 5.3: what it uses on four datasets lies within"),
        "outer_lr": Range(1e-3, 1e-1, log=True, source=f"{PAPER}, 5.3: what it uses on four datasets"),
        "inner_steps": Range(1, 10, source=f"{PAPER}, table 1"),
    }

    split: str = parameter(
        "config1", "how training rows are divided between the two loops", source=f"{PAPER}, 5.4-5.6", choices=SPLITS
    )
    support_share: float = parameter(
        0.2,
        "share of training rows in the inner loop; for proportions and swapped only",
        source=f"{PAPER}, table 2",
        minimum=0,
        maximum=1,
    )
    inner_steps: int = parameter(1, "steps of the inner loop in each epoch", source=f"{PAPER}, table 1", minimum=0)
    inner_lr: float = parameter(0.01, "learning rate of the inner loop", source=f"{PAPER}, 5.3 (COMPAS)", minimum=0)
    outer_lr: float = parameter(0.01, "learning rate of Adam, outer loop", source=f"{PAPER}, 5.3 (COMPAS)", minimum=0)
    hidden: tuple[int, ...] = parameter((8,), "width of each hidden layer", source=REFERENCE)
    activation: str = parameter("relu", "activation function", source=f"{PAPER}, 5.3", choices=tuple(ACTIVATIONS))
    epochs: int = parameter(100, "the largest number of outer steps", source=REFERENCE, minimum=1)
    patience: int = parameter(
        10, "epochs without a smaller validation loss before stopping", source=REFERENCE, minimum=1
    )
    first_order: bool = parameter(False, "leave out the second derivatives (an ablation)")
    record_cosine: bool = parameter(True, "record gradient_cosine, at the cost of two more gradients per epoch")

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor of theta, with the curves ``validation_loss``, ``query_loss`` and ``gradient_cosine``.

        Raises:
            NotApplicable: the training part cannot be divided as ``split`` says.
        """
        draw = derive_seed("support", seed)
        episode = partition(train, self.split, support_share=self.support_share, seed=draw)
        support, query = as_batch(episode.support), as_batch(episode.query)
        model = mlp(support.n_features, self.hidden, self.activation, seed=seed)
        outer = Adam(model.parameters(), lr=self.outer_lr)
        loop = InnerLoop(self.inner_steps, self.inner_lr, self.first_order, plain=self.record_cosine)
        compute = written_out(model, support, query, loop) or in_graph(model, support, query, loop)

        def step(epoch: int) -> dict[str, float]:
            found = compute()
            for weight, slope in zip(model.parameters(), found.gradient):
                weight.grad = slope
            outer.step()
            diagnostics = {"query_loss": float(found.loss)}
            if found.plain:
                diagnostics["gradient_cosine"] = float(cosine_similarity(*found.plain, dim=0))
            return diagnostics

        validation_loss = weighted_loss(as_batch(validation))
        curves = train_model(model, step, validation_loss, epochs=self.epochs, patience=self.patience)
        return Fitted({"": predictor(model)}, chosen="", diagnostics=curves)

    def fit_together(
        self, configurations: Sequence[FaAlGrad], train: Samples, validation: Samples, *, seed: int
    ) -> Sequence[Fitted]:
        """Return the fits of the configurations; those that differ in learning rates alone are one computation.

        Weights and curves equal those of ``fit`` up to the rounding of float32.

        Raises:
            NotApplicable: the training part cannot be divided as a ``split`` says.
        """
        fits: dict[int, Fitted] = {}
        stacks: dict[FaAlGrad, list[int]] = {}
        for place, one in enumerate(configurations):
            stacks.setdefault(replace(one, inner_lr=0.0, outer_lr=0.0), []).append(place)
        for shape, places in stacks.items():
            if len(places) == 1:
                fits[places[0]] = configurations[places[0]].fit(train, validation, seed=seed)
                continue
            draw = derive_seed("support", seed)
            episode = partition(train, shape.split, support_share=shape.support_share, seed=draw)
            shared = Shared(
                as_batch(episode.support),
                as_batch(episode.query),
                as_batch(validation),
                shape.activation,
                shape.inner_steps,
                shape.epochs,
                shape.patience,
                shape.first_order,
                shape.record_cosine,
            )
            models = [mlp(train.X.shape[1], shape.hidden, shape.activation, seed=seed) for _ in places]
            rates = ([getattr(configurations[place], name) for place in places] for name in ("inner_lr", "outer_lr"))
            with one_thread():
                curves = train_together(models, shared, *rates)
            for place, model, curve in zip(places, models, curves):
                fits[place] = Fitted({"": predictor(model)}, chosen="", diagnostics=curve)
        return [fits[place] for place in range(len(configurations))]


@hookimpl
def fairbench_methods() -> list[type[Method]]:
    """Return the method."""
    return [FaAlGrad]

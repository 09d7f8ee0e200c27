"""What both methods share: hyper-parameters, training with or without the layer, and the operating points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from fairbench.api import Fitted, NotApplicable, Predictor, Range, Samples, derive_seed, parameter
from fairbench.api.projection import CONSTRAINTS, Infeasible
from fairbench.api.torch import ACTIVATIONS, Batch, Projection, as_batch, deal, mlp, train_model

from ._package import PackagePredictor, fixed_batches, package_inference, package_network, train_as_package
from ._prediction import Frozen, Scorer, Streamed, WholeBatch, frozen_logits
from ._rule import Rule
from ._streaming import PACKAGE, Correction, Settings, make_correction, mean_gap

Curves = dict[str, list[float]]
MODES = ("frozen", "batch", "stream")
AT_BOUND = 1e-9


@dataclass(frozen=True)
class ProjectedNetwork:
    """Hyper-parameters of a network whose scores are projected onto a fairness constraint."""

    name: ClassVar[str]
    through_layer: ClassVar[bool]  # whether training sees the projected scores
    ranges: ClassVar[Mapping[str, Range]] = {
        "epsilon": Range(0.0, 0.2, source="own"),
        "lr": Range(1e-4, 1e-2, log=True, source="own: from a tenth to ten times the default"),
    }

    metric: str = parameter("mean_prediction", "which means are constrained", source=PACKAGE, choices=CONSTRAINTS)
    epsilon: float = parameter(0.05, "how far the means may differ", source=f"{PACKAGE}, default", minimum=0)
    space: str = parameter(
        "probability",
        "what is constrained: chances of y = 1, or logits (whose parity does not bound the gap in chances)",
        choices=("probability", "logit"),
    )
    mode: str = parameter(
        "frozen",
        "the operating point that stands for the method: shifts found once and applied row by row, all test rows "
        "projected together, or (offered only if chosen here) a stream of batches",
        choices=MODES,
    )
    attributes: str = parameter(
        "joint",
        "constrain every group, or two sensitive attributes that the groups combine one by one",
        choices=("joint", "marginal"),
    )
    frozen_on: str = parameter(
        "train", "the part on which the frozen shifts are found", choices=("train", "validation")
    )
    label_free_odds: bool = parameter(
        False,
        "experimental: predict under equalized odds with the model's own chances in place of the unknown labels",
    )
    strict: bool = parameter(False, "refuse rows of groups without training rows, instead of leaving them unshifted")
    hidden: tuple[int, ...] = parameter((128, 64, 32), "width of each hidden layer", source=f"{PACKAGE}, documentation")
    activation: str = parameter(
        "relu", "activation function after each hidden layer", source=f"{PACKAGE}, default", choices=tuple(ACTIVATIONS)
    )
    lr: float = parameter(1e-3, "learning rate of Adam", source=f"{PACKAGE}, documentation", minimum=0)
    batch_size: int = parameter(
        1024,
        "rows per step, some from every group; 0 for all rows",
        source=f"{PACKAGE}, documentation: 1000 or more",
        minimum=0,
    )
    epochs: int = parameter(200, "the largest number of epochs", minimum=1)
    patience: int = parameter(
        15, "epochs without a smaller validation loss before stopping", source=f"{PACKAGE}, documentation", minimum=1
    )
    package_compat: bool = parameter(
        False,
        "do as the released package does: its initial weights, bounds, fixed batches that drop rows, and inference, "
        "which becomes the only operating point",
    )
    b_tau: int = parameter(
        64, "package_compat only: smallest batch that is projected", source=f"{PACKAGE}, default", minimum=1
    )
    eta: float = parameter(0.5, "first step size of streams", source=f"{PACKAGE}, default", minimum=0)

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return a predictor for each mode, and the curves of training.

        Curves: ``validation_loss``, ``training_loss``, and for each epoch ``distortion`` (mean squared change of a
        score), ``clipped_share``, ``one_group_batches``, ``dropped_contrasts`` and ``infeasible_batches``. Of the
        frozen shifts: ``frozen_shift`` (for each group in order, first for y = 0 where labels count),
        ``frozen_distortion``, ``frozen_clipped_share`` and ``frozen_gap`` (of the mean scores) on the part that they
        were found on.

        Raises:
            NotApplicable: the settings do not fit each other or the data.
        """
        rule = Rule(
            self.metric, self.epsilon, self.space, self.attributes == "marginal", train.schema, self.package_compat
        )
        self._check(rule)
        if self.package_compat:
            model, curves = self._train_as_package(rule, train, validation, seed)
            predictor = PackagePredictor(Scorer(frozen_logits(model), rule), eta=self.eta, b_tau=self.b_tau)
            return Fitted({"package": predictor}, "package", curves)
        model, curves = self._train(rule, train, validation, seed)
        scorer = Scorer(frozen_logits(model), rule)
        part = train if self.frozen_on == "train" else validation
        try:
            frozen = Frozen(scorer, part, strict=self.strict)
        except Infeasible as error:
            raise NotApplicable(f"the frozen shifts cannot be found: {error}") from error
        points: dict[str, Predictor] = {"frozen": frozen}
        if self.metric != "mean_residual":
            points["batch"] = WholeBatch(scorer)
        if self.mode == "stream":
            points["stream"] = Streamed(scorer, lambda: self._begin(rule))
        return Fitted(points, self.mode, {**curves, **_described(frozen, part)})

    def _check(self, rule: Rule) -> None:
        """Refuse what would need labels to predict, and what the package or a stream cannot do."""
        groups = len(rule.schema.group_names)
        if self.metric == "equalized_odds" and not self.label_free_odds:
            raise NotApplicable(
                "equalized odds need the labels of the rows that are predicted; label_free_odds=true is an "
                "experimental variant without them"
            )
        if self.metric == "mean_residual" and self.mode != "frozen":
            raise NotApplicable(
                f"mode={self.mode} under mean_residual needs the labels of the rows that are predicted; use mode=frozen"
            )
        if self.mode == "stream" and (self.metric != "mean_prediction" or rule.marginal):
            raise NotApplicable(
                "mode=stream keeps the groups' mean scores equal: use metric=mean_prediction and attributes=joint"
            )
        if self.package_compat and (self.metric != "mean_prediction" or not (rule.marginal or groups == 2)):
            raise NotApplicable(
                "package_compat covers mean_prediction of two groups, or of two attributes one by one, not "
                f"{self.metric}, attributes={self.attributes} and {groups} groups"
            )

    def _begin(self, rule: Rule) -> Correction:
        """Return the correction of a new stream."""
        groups = len(rule.schema.group_names)
        settings = Settings(groups, self.epsilon, rule.box.lower, rule.box.upper)
        return make_correction("dual_pool" if groups == 2 else "pool", settings, self.eta)

    def _train(self, rule: Rule, train: Samples, validation: Samples, seed: int) -> tuple[nn.Module, Curves]:
        rows = as_batch(train)
        model = mlp(rows.n_features, self.hidden, self.activation, seed=seed)
        by_label = self.metric == "equalized_odds"
        stratum = torch.tensor(train.group * 2 + train.y if by_label else train.group)
        generator = torch.Generator().manual_seed(derive_seed("batches", seed))
        number = -(-len(train) // self.batch_size) if self.batch_size else 1
        step = self._step(rule, model, rows, lambda: deal(stratum, number, generator))
        if self.through_layer:
            validation_loss = _projected_loss(rule, validation)
        else:
            held = as_batch(validation)

            def validation_loss(trained: nn.Module) -> Tensor:
                return binary_cross_entropy_with_logits(trained(held.X), held.y)

        return model, train_model(model, step, validation_loss, epochs=self.epochs, patience=self.patience)

    def _step(
        self, rule: Rule, model: nn.Module, rows: Batch, batches: Callable[[], Iterable[Tensor]], *, skip: bool = False
    ) -> Callable[[int], dict[str, float]]:
        """Return what makes an epoch; batches of one group are skipped, or projected to no effect."""
        layer = Projection(self.metric, epsilon=self.epsilon, lower=rule.box.lower, upper=rule.box.upper)
        codes = rule.codes(rows.group.numpy())
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr)

        def step(epoch: int) -> dict[str, float]:
            layer.counts = dict.fromkeys(layer.counts, 0)
            total, moved, clipped, seen = 0.0, 0.0, 0.0, 0
            for part in batches():
                group, y = codes[part.numpy()], rows.y[part]
                if skip and (group.min(axis=0) == group.max(axis=0)).any():
                    layer.counts["one_group"] += 1
                    continue
                score = in_space(model(rows.X[part]), rule)
                value = layer(score, group, y) if self.through_layer else score
                loss = loss_in_space(value, y, rule)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                with torch.no_grad():
                    total += float(loss) * len(part)
                    moved += float(((value - score) ** 2).sum())
                    clipped += int(((value <= rule.box.lower + AT_BOUND) | (value >= rule.box.upper - AT_BOUND)).sum())
                seen += len(part)
            return {
                "training_loss": total / max(seen, 1),
                "distortion": moved / max(seen, 1),
                "clipped_share": clipped / max(seen, 1),
                "one_group_batches": float(layer.counts["one_group"]),
                "dropped_contrasts": float(layer.counts["dropped"]),
                "infeasible_batches": float(layer.counts["infeasible"]),
            }

        return step

    def _train_as_package(self, rule: Rule, train: Samples, validation: Samples, seed: int) -> tuple[nn.Module, Curves]:
        rows, held = as_batch(train), as_batch(validation)
        model = package_network(rows.n_features, self.hidden, self.activation, seed=seed)
        random = np.random.default_rng(derive_seed("batches", seed))
        size, cells = self.batch_size or len(train), np.arange(2)  # of each group
        if rule.marginal:
            cells = rule.attributes() @ [2, 1]
        n_cells = 4 if rule.marginal else 2
        batches = [torch.tensor(part) for part in fixed_batches(cells[train.group], size, random, n_cells)]
        kept = fixed_batches(cells[validation.group], min(size, len(validation)), random, n_cells)
        step = self._step(rule, model, rows, lambda: batches, skip=True)

        def validation_loss(trained: nn.Module) -> Tensor:
            inference, losses = package_inference(rule, self.eta, self.b_tau), []
            for part in kept:
                score = in_space(trained(held.X[part]), rule)
                if self.through_layer:
                    value = inference.correct(score.reshape(-1).double().numpy(), validation.group[part])
                    score = torch.tensor(value).reshape(-1, 1)
                losses.append(loss_in_space(score, held.y[part].to(score.dtype), rule))
            return torch.stack(losses).mean()

        curves = train_as_package(model, step, validation_loss, epochs=self.epochs, patience=self.patience)
        return model, curves


def in_space(logit: Tensor, rule: Rule) -> Tensor:
    """Return the scores that the rule is about."""
    return logit.sigmoid() if rule.space == "probability" else logit


def loss_in_space(value: Tensor, y: Tensor, rule: Rule) -> Tensor:
    """Return the mean cross-entropy of scores in the rule's space."""
    loss = binary_cross_entropy if rule.space == "probability" else binary_cross_entropy_with_logits
    return loss(value, y)


def _projected_loss(rule: Rule, validation: Samples) -> Callable[[nn.Module], Tensor]:
    """Return the loss of the validation part's scores, projected together as at prediction."""
    held = as_batch(validation)

    def loss(trained: nn.Module) -> Tensor:
        logit = trained(held.X)
        score, chance = (part.reshape(-1).double().numpy() for part in (in_space(logit, rule), logit.sigmoid()))
        try:
            value = rule.project(score, validation.group, chance, validation.y).value
        except Infeasible:
            value = rule.box.clip(score)
        return loss_in_space(torch.tensor(value).reshape(-1, 1), held.y.double(), rule)

    return loss


def _described(frozen: Frozen, part: Samples) -> Curves:
    """Return what the frozen shifts do on the part that they were found on."""
    box, value = frozen.scorer.rule.box, frozen.value
    both = frozen.scorer.rule.metric == "equalized_odds"
    return {
        "frozen_shift": (frozen.shift if both else frozen.shift[:, 0]).reshape(-1).tolist(),
        "frozen_distortion": [float(((value - frozen.found_on) ** 2).mean())],
        "frozen_clipped_share": [float(((value <= box.lower + AT_BOUND) | (value >= box.upper - AT_BOUND)).mean())],
        "frozen_gap": [mean_gap(value, part.group, len(part.group_names))],
    }

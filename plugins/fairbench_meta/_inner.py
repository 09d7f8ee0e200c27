"""The inner loop of the meta-learners: adaptation to many tasks at once, each from the same initial weights.

Tasks are padded to one length and computed side by side, which takes a small fraction of the time of one differentiable
loop after another; ``adapt_with_higher`` is that other way, through ``higher``, and agrees with ``adapt``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Union

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Samples
from fairbench.api.torch import unroll

Rate = Union[float, Tensor]
"""A number for all tasks, or (B, 1) numbers, one for each."""

ROWS_OF = {
    "none": (),
    "demographic_parity": ("all",),
    "equal_opportunity": ("favoured",),
    "equalized_odds": ("favoured", "others"),
}
"""For each criterion the rows over which scores are compared, a fairness term for each entry."""


@dataclass(frozen=True)
class Terms:
    """The m fairness terms besides a task's loss, each linear in its scores h, except for an absolute value.

    Args:
        criterion: a name in ``ROWS_OF``; favoured rows are those with the favourable label.
        form: ``gap``: |mean h of the protected - mean h of the others| - bound;
            ``covariance``: |mean of (a - mean a) h| - bound, which is the gap times the variance of a;
            ``reward``: 1 - mean h of the protected, h being the score of the favourable outcome;
            ``batch_reward``: the same, but with the mean of a h over all rows.
        bound: the largest gap or covariance allowed.
        favorable_label: the label that rewards are for.
        squash_twice: take sigmoid(2 h - 1) for h: the softmax of (h, 1 - h), as if those were logits.

    A term over rows that lack the protected or (gap, covariance) the others is 0, and so is its gradient.
    """

    criterion: str = "none"
    form: str = "gap"
    bound: Rate = 0.0
    favorable_label: int = 1
    squash_twice: bool = False

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(ROWS_OF[self.criterion])

    @property
    def two_sided(self) -> bool:
        """Return whether a term is an absolute value minus the bound."""
        return self.form in ("gap", "covariance")

    def weigh(self, protected: Tensor, favoured: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return direction (B, m, K), offset and known (B, m) from masks (B, K); a term is direction . h + offset."""
        if not len(self):
            nothing = present.new_zeros(len(present), 0)
            return present.new_zeros(len(present), 0, present.shape[1]), nothing, nothing
        sets = {"all": present, "favoured": favoured * present, "others": (1 - favoured) * present}
        rows = torch.stack([sets[name] for name in ROWS_OF[self.criterion]], dim=1)  # (B, m, K)
        n, inside = rows.sum(-1, keepdim=True), rows * protected.unsqueeze(1)
        n_inside = inside.sum(-1, keepdim=True)
        share = n_inside / n.clamp(min=1)
        if self.two_sided:
            known = (n_inside > 0) & (n_inside < n)
            direction = (inside - share * rows) / n.clamp(min=1)
            if self.form == "gap":  # mean of (a - share) h is share (1 - share) times the gap in mean h
                direction = direction / torch.where(known, share * (1 - share), 1)
            return direction, torch.zeros_like(share[..., 0]), known[..., 0].to(direction)
        known = n_inside > 0
        mean = inside / (n if self.form == "batch_reward" else n_inside).clamp(min=1)
        if self.favorable_label == 1:
            return -mean, torch.ones_like(share[..., 0]), known[..., 0].to(mean)
        return mean, 1 - mean.sum(-1), known[..., 0].to(mean)  # the favourable outcome's score is 1 - h


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """B tasks of at most K rows: X (B, K, d), y (B, K); ``weight`` (B, K) is 1 / rows of the task, 0 for padding.

    ``direction`` (B, m, K), ``offset`` (B, m) and ``known`` (B, m) are those of ``Terms.weigh``.
    """

    X: Tensor
    y: Tensor
    weight: Tensor
    direction: Tensor
    offset: Tensor
    known: Tensor

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self.X)

    def repeated(self, times: int) -> TaskBatch:
        """Return all tasks as often, one round after another."""
        parts = (getattr(self, name) for name in self.__dataclass_fields__)
        return TaskBatch(*(part.repeat(times, *[1] * (part.dim() - 1)) for part in parts))


class Table:
    """All training rows as tensors, from which batches of tasks are gathered."""

    def __init__(self, samples: Samples, terms: Terms, dtype: torch.dtype = torch.float32) -> None:
        """Copy the samples."""
        self.terms, self.schema = terms, samples.schema
        self.X = torch.tensor(samples.X, dtype=dtype)
        self.y = torch.tensor(samples.y, dtype=dtype)
        self.protected = torch.tensor(samples.protected, dtype=dtype)
        self.favoured = torch.tensor(samples.y == samples.schema.favorable_label, dtype=dtype)

    def batch(self, rows: Sequence[np.ndarray], flip: Sequence[bool] = ()) -> TaskBatch:
        """Return the tasks with these rows; the labels of tasks to flip are exchanged in the loss."""
        lengths = np.array([len(positions) for positions in rows])
        present = np.arange(lengths.max()) < lengths[:, None]  # (B, K)
        index = np.zeros(present.shape, dtype=np.int64)
        index[present] = np.concatenate(rows)
        where, mask = torch.from_numpy(index), torch.from_numpy(present).to(self.y)
        y = self.y[where]
        if any(flip):
            y = torch.where(torch.tensor(flip).unsqueeze(1), 1 - y, y)
        weight = mask / mask.sum(1, keepdim=True)
        return TaskBatch(self.X[where], y, weight, *self.terms.weigh(self.protected[where], self.favoured[where], mask))


class Judgement(NamedTuple):
    """The loss (B,) of B tasks, their fairness terms (B, m), and which of these are ``known`` (B, m)."""

    loss: Tensor
    terms: Tensor
    known: Tensor


def judge(logit: Tensor, batch: TaskBatch, terms: Terms) -> Judgement:
    """Return mean binary cross-entropy and fairness terms of logits (B, K)."""
    loss = (batch.weight * cross_entropy(logit, batch.y, reduction="none")).sum(1)
    if not len(terms):
        return Judgement(loss, batch.offset, batch.known)
    score = logit.sigmoid()
    if terms.squash_twice:
        score = (2 * score - 1).sigmoid()
    value = torch.bmm(batch.direction, score.unsqueeze(2)).squeeze(2) + batch.offset
    if terms.two_sided:
        value = value.abs() - terms.bound  # torch takes the slope of abs at 0 as 0
    return Judgement(loss, batch.known * value, batch.known)


def slope(logit: Tensor, batch: TaskBatch, terms: Terms, multiplier: Tensor, *, loss: bool = True) -> Tensor:
    """Return the derivative (B, K), for the logits, of each task's multiplier . terms, plus the loss if wanted."""
    score = logit.sigmoid()
    by_loss = batch.weight * (score - batch.y)
    if not len(terms):
        return by_loss
    by_logit = score * (1 - score)
    if terms.squash_twice:
        squashed = (2 * score - 1).sigmoid()
        score, by_logit = squashed, squashed * (1 - squashed) * 2 * by_logit
    factor = multiplier * batch.known
    if terms.two_sided:
        factor = factor * torch.bmm(batch.direction, score.detach().unsqueeze(2)).squeeze(2).sign()
    by_terms = torch.bmm(factor.unsqueeze(1), batch.direction).squeeze(1) * by_logit
    return by_loss + by_terms if loss else by_terms


def forward(net: nn.Sequential, weights: Sequence[Tensor], X: Tensor) -> Tensor:
    """Return the logits (B, K) of X (B, K, d) under B sets of weights, each tensor (B, ...) in the net's order."""
    return _layers(net, weights, X)[0]


def _layers(net: nn.Sequential, weights: Sequence[Tensor], X: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the logits (B, K), and the input of each linear layer, (B, K, width)."""
    remaining, given = iter(weights), []
    for layer in net:
        if isinstance(layer, nn.Linear):
            given.append(X)
            weight, bias = next(remaining), next(remaining)
            X = torch.baddbmm(bias.unsqueeze(1), X, weight.transpose(1, 2))
        else:
            X = layer(X)
    return X.squeeze(2), given


def _backward(net: nn.Sequential, weights: Sequence[Tensor], given: list[Tensor], by_logit: Tensor) -> list[Tensor]:
    """Return the derivative for each of the weights, in the graph; an activation's output gives its derivative."""
    by_output = by_logit.unsqueeze(2)
    slopes: list[Tensor] = []
    for layer in range(len(given) - 1, -1, -1):
        slopes = [torch.bmm(by_output.transpose(1, 2), given[layer]), by_output.sum(1), *slopes]
        if layer:
            value = given[layer]
            derivative = 1 - value * value if isinstance(net[2 * layer - 1], nn.Tanh) else (value > 0).to(value)
            by_output = torch.bmm(by_output, weights[2 * layer]) * derivative
    return slopes


@dataclass(frozen=True)
class Rule:
    """How weights and multipliers adapt to a task.

    Args:
        lr: of the weights.
        steps: of the weights, before each step of the multipliers.
        rounds: steps of the multipliers.
        dual_lr: of the multipliers; 0 leaves them as they are.
        average: the multipliers' step uses the running mean of the weights, not the latest ones.
        terms_only_after_first: leave the loss out from the second step on.
        first_order: take the derivative of the adapted weights with respect to the initial ones to be the identity.
    """

    lr: Rate
    steps: int = 1
    rounds: int = 1
    dual_lr: Rate = 0.0
    average: bool = False
    terms_only_after_first: bool = False
    first_order: bool = False

    def turns_after(self, steps: int) -> bool:
        """Return whether the multipliers make a step once the weights have made this many."""
        return steps > 0 and steps % self.steps == 0 and bool(torch.as_tensor(self.dual_lr).max() > 0)

    def sees_loss(self, step: int) -> bool:
        """Return whether a step descends the loss too, not the fairness terms alone."""
        return step == 0 or not self.terms_only_after_first

    def lowered(self, weight: Tensor, slope: Tensor) -> Tensor:
        """Return a weight (B, ...) after its step."""
        if isinstance(self.lr, Tensor):
            return weight - self.lr.reshape(-1, *[1] * (weight.dim() - 1)) * slope
        return torch.sub(weight, slope, alpha=self.lr)

    def raised(self, multiplier: Tensor, terms: Tensor) -> Tensor:
        """Return the multipliers (B, m) after their step."""
        return (multiplier + self.dual_lr * terms).clamp(min=0)


def adapt(net: nn.Sequential, multiplier: Tensor, support: TaskBatch, terms: Terms, rule: Rule) -> list[Tensor]:
    """Return the weights after adaptation to each task, in the graph of the net's weights and of the multipliers.

    Args:
        net: linear layers and elementwise activations, ending in one logit.
        multiplier: (m,), for the fairness terms, where each task's own multipliers start.
        support: the tasks' rows.
        terms: the fairness terms.
        rule: steps and rates. The multipliers' last step would not move any weights, and is skipped.

    Returns:
        Each of the net's weights as (B, ...).

    References:
        Finn, Abbeel and Levine (2017), Model-agnostic meta-learning, eq. 1. Multipliers: Zhao, Chen and Thuraisingham
        (2021), Fairness-aware online meta-learning.
    """
    start = [weight.expand(len(support), *weight.shape) for weight in net.parameters()]
    return _descend(net, start, multiplier.expand(len(support), -1), support, terms, rule)


def _descend(
    net: nn.Sequential, start: Sequence[Tensor], dual: Tensor, support: TaskBatch, terms: Terms, rule: Rule
) -> list[Tensor]:
    """Return the weights after adaptation from weights (B, ...) and multipliers (B, m)."""
    weights = list(start)
    total = [torch.zeros_like(weight) for weight in start] if rule.average else []
    with torch.set_grad_enabled(torch.is_grad_enabled() and not rule.first_order):
        for step in range(rule.steps * rule.rounds):
            logit, given = _layers(net, weights, support.X)
            if rule.turns_after(step):
                looked_at = forward(net, [past / step for past in total], support.X) if rule.average else logit
                dual = rule.raised(dual, judge(looked_at, support, terms).terms)
            by_logit = slope(logit, support, terms, dual, loss=rule.sees_loss(step))
            slopes = _backward(net, weights, given, by_logit)
            weights = [rule.lowered(weight, by) for weight, by in zip(weights, slopes)]
            total = [past + weight for past, weight in zip(total, weights)]
    if rule.first_order:  # d end / d start is taken as one; start - start is 0, so the values keep their bits
        weights = [end + (first - first.detach()) for end, first in zip(weights, start)]
    return weights


class Setting(NamedTuple):
    """Where a setting's adaptation starts, and its rates; settings of one shape differ in numbers alone."""

    net: nn.Sequential
    multiplier: Tensor
    terms: Terms
    rule: Rule


def judge_together(settings: Sequence[Setting], support: TaskBatch, query: TaskBatch) -> list[Judgement]:
    """Return what each of M settings achieves on the query rows after adaptation to the same tasks, as one computation.

    The results are those of ``adapt``, ``forward`` and ``judge``, setting by setting, up to rounding.
    """
    net, count, tasks = settings[0].net, len(settings), len(support)

    def each(values: Sequence[Tensor]) -> Tensor:  # (M * B, ...)
        return torch.stack(list(values)).repeat_interleave(tasks, dim=0)

    def rates(values: Sequence[Rate]) -> Tensor:  # (M * B, 1)
        return each([torch.as_tensor(value, dtype=support.X.dtype) for value in values]).unsqueeze(1)

    start = [each(same) for same in zip(*(setting.net.parameters() for setting in settings))]
    rule = replace(
        settings[0].rule,
        lr=rates([setting.rule.lr for setting in settings]),
        dual_lr=rates([setting.rule.dual_lr for setting in settings]),
    )
    terms = replace(settings[0].terms, bound=rates([setting.terms.bound for setting in settings]))
    dual = each([setting.multiplier for setting in settings])
    ends = _descend(net, start, dual, support.repeated(count), terms, rule)
    asked = query.repeated(count)
    judged = judge(forward(net, ends, asked.X), asked, terms)
    return [Judgement(*parts) for parts in zip(*(torch.split(values, tasks) for values in judged))]


def adapt_with_higher(
    net: nn.Sequential, multiplier: Tensor, support: TaskBatch, terms: Terms, rule: Rule
) -> list[Tensor]:
    """Return what ``adapt`` returns, through ``higher``'s differentiable loop, one task after another."""
    ends = [_adapt_one(net, multiplier, _single(support, task), terms, rule) for task in range(len(support))]
    return [torch.stack(weights) for weights in zip(*ends)]


def _single(batch: TaskBatch, task: int) -> TaskBatch:
    return TaskBatch(*(getattr(batch, name)[task : task + 1] for name in batch.__dataclass_fields__))


def _adapt_one(net: nn.Sequential, multiplier: Tensor, task: TaskBatch, terms: Terms, rule: Rule) -> list[Tensor]:
    dual, step = multiplier.expand(1, -1), 0
    total = [torch.zeros_like(weight) for weight in net.parameters()]

    def loss(model: nn.Module) -> Tensor:
        judged = judge(model(task.X[0]).T, task, terms)
        penalty = (dual * judged.terms).sum()
        return judged.loss.sum() + penalty if rule.sees_loss(step) else penalty

    def after_step(model: nn.Module) -> None:
        nonlocal dual, step, total
        step += 1
        weights = list(model.parameters())
        total = [past + weight for past, weight in zip(total, weights)]
        if rule.turns_after(step):
            looked_at = [past / step for past in total] if rule.average else weights
            logit = forward(net, [weight.unsqueeze(0) for weight in looked_at], task.X)
            raised = rule.raised(dual, judge(logit, task, terms).terms)
            dual = raised.detach() if rule.first_order else raised

    steps = rule.steps * rule.rounds
    end = unroll(
        net,
        loss,
        steps=steps,
        lr=float(rule.lr),
        first_order=rule.first_order,
        after_step=after_step,
        inner_loop="higher",
    )
    return end.parameters()


INNER_LOOPS = {"batched": adapt, "higher": adapt_with_higher}

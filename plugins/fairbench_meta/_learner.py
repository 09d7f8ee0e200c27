"""What the meta-learners share: tasks, adaptation, the choice of a checkpoint, and prediction from adapted weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from fairbench.api import Fitted, Inputs, NotApplicable, Predictions, Predictor, Samples, Schema, derive_seed, parameter
from fairbench.api.tasks import NO_TASK, Shots, draw_rows
from fairbench.api.torch import ACTIVATIONS, one_thread, train_model

from ._course import Course, OuterStep, Record, Stack
from ._inner import INNER_LOOPS, Rule, TaskBatch, Terms, adapt, forward
from ._members import Curves, train_members

MODES = ("auto", "task", "pooled", "none")
Weights = Sequence[Tensor]


class Prediction:
    """A way to predict: which place a row belongs to, and which training rows each place's weights adapt to.

    In mode ``task`` there is a place for each task and a last one, adapted to all training rows, for rows without a
    task; in the modes ``pooled`` (adapted to all training rows) and ``none`` (not adapted) there is only one.
    """

    def __init__(self, course: Course, train: Samples, seed: int) -> None:
        """Draw the support of each place, several times where it is only some of the place's rows."""
        learner, plan = course.learner, course.plan
        self.course, self.plan = course, plan
        self.mode = ("task" if plan.assigns else "pooled") if learner.prediction == "auto" else learner.prediction
        if self.mode == "task" and not plan.assigns:
            raise NotApplicable(f"prediction=task needs rows with a task; with {plan.kind} tasks no row has one")
        self.rule = learner.rule(prediction=True)
        places = [*course.members, np.arange(len(train))] if self.mode == "task" else [np.arange(len(train))]
        self.supports = [places]
        if learner.support == "kshot":
            random = np.random.default_rng(derive_seed("support", seed))
            self.supports = [
                [draw_rows(train.y, rows, learner.shots, random)[0] for rows in places] for _ in range(learner.draws)
            ]
        self._batches: dict[tuple[int, ...], TaskBatch] = {}

    def of(self, course: Course) -> Prediction:
        """Return the same for another course on these rows, which differs in rates alone."""
        prediction = copy.copy(self)
        prediction.course, prediction.rule = course, course.learner.rule(prediction=True)
        return prediction

    def forget(self) -> None:
        """Free the supports' rows, which are as many as those of the training part."""
        self._batches.clear()

    @property
    def support_sizes(self) -> list[int]:
        """Return how many rows the weights of each task (or of the only place) adapt to; nothing if they do not."""
        if self.mode == "none":
            return []
        sizes = [len(rows) for rows in self.supports[0]]
        return sizes[:-1] if self.mode == "task" else sizes

    def place(self, inputs: Inputs) -> np.ndarray:
        """Return the place (n,) of each row."""
        if self.mode != "task":
            return np.zeros(len(inputs), dtype=np.int64)
        codes = self.plan.assign(inputs)
        return np.where(codes == NO_TASK, len(self.plan), codes)

    def weights(self, places: Sequence[int]) -> list[dict[int, list[Tensor]]]:
        """Return, for each draw of the supports, the weights (outside the graph) of the places asked for."""
        net = self.course.learned.net
        if self.mode == "none":
            return [{0: [weight.detach().clone() for weight in net.parameters()]}]
        adapted: list[dict[int, list[Tensor]]] = []
        for draw, supports in enumerate(self.supports):
            adapted.append({})
            for together in _of_similar_length(places, [len(rows) for rows in supports]):
                batch = self._batches.get((draw, *together))
                if batch is None:  # made once for all evaluations
                    batch = self.course.table.batch([supports[place] for place in together])
                    self._batches[(draw, *together)] = batch
                with torch.no_grad():
                    end = adapt(net, self.course.learned.multiplier, batch, self.course.terms, self.rule)
                for position, place in enumerate(together):
                    adapted[-1][place] = [weight[position] for weight in end]
        return adapted

    def predictor(self, seed: int) -> Predictor:
        """Return the predictor in its present state; it computes in float64, on one thread.

        With several draws a row's score is the mean over them, and its decision the share of draws that select it, so
        that rates are means over the draws.
        """
        net, place = self.course.learned.net, self.place
        weights = [
            {place: [weight.double() for weight in tensors] for place, tensors in draw.items()}
            for draw in self.weights(range(len(self.supports[0])))
        ]

        def predict(inputs: Inputs) -> Predictions:
            with one_thread(), torch.no_grad():
                X, places = torch.tensor(inputs.X, dtype=torch.float64), place(inputs)
                scores = np.stack([logits(net, draw, X, places).sigmoid().numpy() for draw in weights])
            if len(scores) == 1:
                return Predictions.from_score(scores[0])
            return Predictions.from_decision((scores >= 0.5).mean(0), seed=seed, y_score=scores.mean(0))

        return predict


def _of_similar_length(places: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Return the places in batches in which none is more than twice as long as another, to keep padding small."""
    batches: list[list[int]] = []
    for place in sorted(places, key=lambda place: lengths[place]):
        if batches and lengths[place] <= 2 * lengths[batches[-1][0]]:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def logits(net: nn.Sequential, weights: Mapping[int, Weights], X: Tensor, places: np.ndarray) -> Tensor:
    """Return the logits (n,) of X (n, d), each row under the weights of its place."""
    result = torch.zeros(len(X), dtype=X.dtype)
    for place in np.unique(places).tolist():
        rows = torch.from_numpy(np.flatnonzero(places == place))
        result[rows] = forward(net, [weight.unsqueeze(0) for weight in weights[place]], X[rows].unsqueeze(0))[0]
    return result


@dataclass(frozen=True)
class MetaLearner:
    """Hyper-parameters of methods that learn initial weights over tasks, and how any of them is fitted.

    ``rates`` names the parameters in which settings that are trained together may differ.
    """

    rates: ClassVar[Sequence[str]] = ("inner_lr", "outer_lr")

    tasks: str = parameter(
        "auto", "a key of the data (state, age, country), random, kmeans, or auto: the data's first key, else random"
    )
    task_count: int = parameter(0, "number of tasks; 0: as the data suggest, 1: all rows are one task", minimum=0)
    min_task_rows: int = parameter(0, "smaller tasks are merged; 0: 1% of the rows, from 14 to 30", minimum=0)
    prediction: str = parameter(
        "auto",
        "adapt to each row's task, to all training rows (pooled) or not at all; auto: task where rows have one",
        choices=MODES,
    )
    support: str = parameter(
        "full",
        "adapt, for prediction, to all training rows of the task, or to as few as a support set has in training",
        choices=("full", "kshot"),
    )
    draws: int = parameter(5, "with support=kshot: draws of the support, over which decisions are averaged", minimum=1)
    hidden: tuple[int, ...] = parameter((8,), "width of each hidden layer", source="as in faalgrad")
    activation: str = parameter("relu", "activation function after each hidden layer", choices=tuple(ACTIVATIONS))
    inner_lr: float = parameter(0.1, "learning rate of the inner loop", source="own", minimum=0)
    inner_steps: int = parameter(1, "steps of the inner loop in training", minimum=1)
    outer_lr: float = parameter(1e-3, "learning rate of the outer loop", minimum=0)
    first_order: bool = parameter(False, "leave out the second derivatives (an ablation)")
    inner_loop: str = parameter(
        "batched",
        "compute all tasks at once, or one after another through the library higher; the results agree",
        choices=tuple(INNER_LOOPS),
    )
    patience: int = parameter(10, "evaluations without a smaller validation loss before stopping", minimum=1)

    @property
    def first_multiplier(self) -> float:
        """Return where the multipliers of the fairness terms start; a parameter where a method has one."""
        return 0.0

    @property
    def shots(self) -> Shots:
        """Return how many rows an episode has."""
        raise NotImplementedError

    def terms(self, schema: Schema) -> Terms:
        """Return the fairness terms besides the loss."""
        raise NotImplementedError

    def rule(self, *, prediction: bool = False) -> Rule:
        """Return how weights adapt in training, or for prediction."""
        raise NotImplementedError

    def outer_step(self, course: Course) -> OuterStep:
        """Return what moves the initial weights."""
        raise NotImplementedError

    def schedule(self, course: Course) -> tuple[int, Callable[[int], Record]]:
        """Return the number of epochs, and the function that makes one; the checkpoint is chosen between them."""
        raise NotImplementedError

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Fitted:
        """Return the predictor, an operating point named after its mode, of the epoch with the best validation loss.

        The validation loss is binary cross-entropy under the same mode of prediction. The curves are that, what the
        method records of each epoch, ``task_sizes``, the number of training rows of each task, and ``support_sizes``,
        how many rows the weights adapt to for prediction, for each task or for all rows together.

        Raises:
            NotApplicable: tasks cannot be formed as asked for, or a method with fairness terms finds all rows on one
                side of the protected group.
        """
        (fitted,) = _fit_alike([self], train, validation, seed)
        return fitted

    def fit_together(
        self, configurations: Sequence[MetaLearner], train: Samples, validation: Samples, *, seed: int
    ) -> Sequence[Fitted]:
        """Return the fits of the configurations; those that differ in their ``rates`` alone are one computation.

        They meet the same tasks and draws, as they do when they are fitted alone, and curves and predictions equal
        those of ``fit`` up to the rounding of float32.

        Raises:
            NotApplicable: as ``fit`` does.
        """
        fits: dict[int, Fitted] = {}
        shapes: dict[MetaLearner, list[int]] = {}
        for place, one in enumerate(configurations):
            rates: dict[str, Any] = dict.fromkeys(self.rates, 0.0)
            shapes.setdefault(replace(one, **rates), []).append(place)
        for shape, places in shapes.items():
            stacks = [places] if shape.inner_loop == "batched" else [[place] for place in places]
            for stack in stacks:
                alike = [configurations[place] for place in stack]
                fits.update(zip(stack, _fit_alike(alike, train, validation, seed)))
        return [fits[place] for place in range(len(configurations))]


def _fit_alike(learners: Sequence[MetaLearner], train: Samples, validation: Samples, seed: int) -> list[Fitted]:
    """Return the fits of learners that differ in their rates alone."""
    first = learners[0]
    if len(first.terms(train.schema)) and len(np.unique(train.protected)) < 2:
        raise NotApplicable("all training rows are on one side of the protected group; fairness terms need both")
    with one_thread():
        course = Course(first, train, seed)
        courses = [course, *(course.of(learner) for learner in learners[1:])]
        prediction = Prediction(course, train, seed)
        predictions = [prediction, *(prediction.of(one) for one in courses[1:])]
        X, y = torch.tensor(validation.X), torch.tensor(validation.y, dtype=torch.float32)
        places = predictions[0].place(validation.inputs)
        seen = np.unique(places).tolist()

        def validation_loss(place: int) -> Tensor:
            net = courses[place].learned.net
            draws = predictions[place].weights(seen)
            return torch.stack([cross_entropy(logits(net, draw, X, places), y) for draw in draws]).mean()

        if len(courses) == 1:
            epochs, step = first.schedule(course)
            stops = {"epochs": epochs, "patience": first.patience}
            curves = [train_model(course.learned, step, lambda learned: validation_loss(0), **stops)]
        else:
            curves = _train_stack(Stack(courses), validation_loss)
        fits = []
        for member, curve in zip(predictions, curves):
            curve["task_sizes"] = [float(len(rows)) for rows in course.members]
            curve["support_sizes"] = list(map(float, member.support_sizes))
            chosen = member.predictor(derive_seed("decisions", seed))
            fits.append(Fitted({member.mode: chosen}, chosen=member.mode, diagnostics=curve))
        prediction.forget()
        return fits


def _train_stack(stack: Stack, validation_loss: Callable[[int], Tensor]) -> list[Curves]:
    """Train the courses of a stack, leave each with its best weights, and return their curves."""
    best: dict[int, dict[str, Tensor]] = {}
    epochs, step = stack.learner.schedule(stack)

    def epoch(number: int, active: list[int]) -> dict[str, Any]:
        stack.active = active
        said = step(number)
        with torch.no_grad():
            return {"validation_loss": [validation_loss(place) for place in active], **said}

    def keep(position: int, place: int) -> None:
        best[place] = {name: tensor.clone() for name, tensor in stack.courses[place].learned.state_dict().items()}

    names = [", ".join(f"{name}={getattr(one.learner, name):g}" for name in one.learner.rates) for one in stack.courses]
    curves = train_members(names, epoch, keep, epochs=epochs, patience=stack.learner.patience)
    for place, weights in best.items():
        stack.courses[place].learned.load_state_dict(weights)
    return curves

"""The loop itself: which model is trained on which rows, generation after generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
from numpy.typing import NDArray

from fairbench.api import (
    Arrays,
    Fitted,
    Inputs,
    Method,
    NotApplicable,
    Outcome,
    Predictions,
    Predictor,
    Samples,
    Split,
    derive_seed,
    tables_only,
)

from . import _measures
from ._generators import Domain, FittedGenerator, checked_sample
from ._star import Source, star

if TYPE_CHECKING:
    from ._loop import Loop

Rows = NDArray[Any]
TRIES = 5  # to train an annotator that serves every group


@dataclass(frozen=True, eq=False)
class Classifier:
    """C_t: its predictor, the rows it was fitted on and in which generation, and what is reported about the fit."""

    predict: Predictor
    train: Samples
    validation: Samples
    generation: int
    notes: dict[str, float]
    diagnostics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Maker:
    """G_t: the fitted generator, the rows (n, d or d + G) that it was fitted on, and in which generation."""

    fitted: FittedGenerator
    rows: Rows
    generation: int


class Lineage:
    """One run of a loop: a scenario's settings, the data, a method, and a seed for every draw and every fit."""

    def __init__(self, loop: Loop, split: Split, method: Method, seed: Callable[[str], int]) -> None:
        """Train the two annotators on real rows.

        Raises:
            NotApplicable: the settings do not fit the data, or A_L does not serve every group.
        """
        self.loop, self.split, self.method, self.seed = loop, split, method, seed
        train = split.train
        self.schema, self.n_groups = train.schema, len(train.group_names)
        self.ideal = loop.ideal_of(self.n_groups)
        if loop.generate_group:
            tables_only(self.schema, "generate_group = true")
        self.d = train.X.shape[1]
        self.domain = Domain.of(train.X, self.schema.image_shape)
        self.generator = loop.build_generator()
        self.real = self.joined(train.X, train.group)
        label, group = loop.build_annotators()
        shape = self.schema.image_shape
        self.group_chances = group.fit(train.X, train.group, self.n_groups, shape, seed=seed("group annotator"))
        self.annotator, self.annotator_notes = self.label_annotator(label)

    # ---------------------------------------------------------------- labels and groups of rows

    def label_annotator(self, plain: Any) -> tuple[Predictor, dict[str, float]]:
        """Return A_L and its rates; it is refitted, from other initial weights, while it serves a group too badly."""
        train, validation = self.split.train, self.split.validation
        for attempt in range(TRIES):
            seed = self.seed(f"annotator {attempt}" if attempt else "annotator")
            if plain is None:
                fitted = Fitted.of(self.method.fit(train, validation, seed=seed))
                predict = fitted.points[fitted.chosen]
            else:
                chances = plain.fit(train.X, train.y, 2, self.schema.image_shape, seed=seed)
                predict = _predictor(chances)
            worst = _measures.rates("", validation, predict(validation.inputs))["_worst_group_accuracy"]
            if worst >= self.loop.annotator_floor:
                break
        else:
            raise NotApplicable(
                f"the label annotator is right on {worst:.2f} of one group's validation rows, after {TRIES} attempts; "
                f"annotator_floor asks for {self.loop.annotator_floor:g}: choose another annotator, or lower the floor"
            )
        test = self.split.test
        group = self.group_chances(test.X).argmax(axis=1)
        notes = _measures.rates("annotator", test, predict(test.inputs))
        return predict, {
            **notes,
            "annotator_fits": attempt + 1,
            "group_annotator_accuracy": (group == test.group).mean(),
        }

    def joined(self, X: Rows, group: Rows) -> Rows:
        """Return rows as generators see them: X (n, d), with the group as further columns if it is generated too."""
        if not self.loop.generate_group:
            return X
        return np.hstack([X, np.eye(self.n_groups, dtype=np.float32)[group]])

    def groups(self, rows: Rows) -> Rows:
        """Return the group codes (n,) of samples: read off, or A_S's."""
        if self.loop.generate_group:
            return np.asarray(rows[:, self.d :].argmax(axis=1))
        return np.asarray(self.group_chances(rows).argmax(axis=1))

    def label(self, predict: Predictor, rows: Rows) -> Rows:
        """Return hard labels (n,) of samples."""
        return predict(Inputs(rows[:, : self.d], self.groups(rows), self.schema)).y_pred

    def samples(self, maker: Maker, purpose: str) -> Callable[[int], Rows]:
        """Return n -> new samples of a generator, each call with a seed of its own."""
        calls = 0

        def sample(n: int) -> Rows:
            nonlocal calls
            seed = derive_seed("draw", self.seed(purpose), calls)
            calls += 1
            drawn = checked_sample(self.generator.name, maker.fitted, n, self.real.shape[1], seed=seed)
            X = self.domain.project(drawn[:, : self.d])
            return self.joined(X, drawn[:, self.d :].argmax(axis=1)) if self.loop.generate_group else X

        return sample

    # ---------------------------------------------------------------- what models are trained on

    def curated(
        self, maker: Maker, labeller: Predictor, n: int, repair: bool, purpose: str
    ) -> tuple[Rows, Rows, dict[str, float]]:
        """Return n samples, their labels, and what STAR has to report if it curates them."""
        sample = self.samples(maker, purpose)
        if not repair:
            rows = sample(n)
            return rows, self.label(labeller, rows), {}
        source = Source(sample, lambda rows: self.label(labeller, rows), self.groups, self.n_groups)
        random = np.random.default_rng(self.seed(f"{purpose}, order"))
        size = self.loop.batch or n
        batches = []
        for start in range(0, n, size):
            wanted = min(size, n - start)
            budget = max(1, round(self.loop.budget * wanted))
            batches.append(star(source, wanted, budget, self.ideal, random, refill=self.loop.refill))
        pool = np.sum([batch.pool for batch in batches], axis=0)
        names = _measures.stratum_names(self.schema.group_names)
        report = {"deficit_share": sum(batch.deficit for batch in batches) / n}
        report.update({f"pool_share[{name}]": share for name, share in zip(names, (pool / pool.sum()).tolist())})
        return np.concatenate([batch.X for batch in batches]), np.concatenate([batch.y for batch in batches]), report

    def synthetic_rows(self, n: int, share: float) -> int:
        """Return how many of n rows are synthetic: ``int(share * batch)`` of each batch."""
        size = self.loop.batch or n
        return sum(int(share * min(size, n - start)) for start in range(0, n, size))

    def classifier_rows(
        self, t: int, maker: Maker, labeller: Predictor, last: Predictor, n: int, purpose: str
    ) -> tuple[Samples, dict[str, float]]:
        """Return n training rows of C_t with hard labels and groups, and what STAR reports."""
        loop, train = self.loop, self.split.train
        synthetic = self.synthetic_rows(n, loop.classifier_share)
        repair = loop.reparation in ("classifier", "both")
        purpose = f"{purpose} {t}"
        X, y, group = train.X[:0], train.y[:0], train.group[:0]
        report: dict[str, float] = {}
        if synthetic:
            rows, y, report = self.curated(maker, labeller, synthetic, repair, purpose)
            X, group = rows[:, : self.d], self.groups(rows)
        if synthetic < n:
            random = np.random.default_rng(self.seed(f"{purpose}, real rows"))
            weight = self.natural_weight(last) if loop.natural_sampling == "disparate" else None
            with_return = weight is not None or n - synthetic > len(train)
            real = train.select(random.choice(len(train), n - synthetic, replace=with_return, p=weight))
            labels = real.y if loop.natural_labels == "recorded" else labeller(real.inputs).y_pred
            X, y, group = np.concatenate([X, real.X]), np.concatenate([y, labels]), np.concatenate([group, real.group])
            order = random.permutation(n)
            X, y, group = X[order], y[order], group[order]
        return Samples(X, group, self.schema, y), report

    def natural_weight(self, last: Predictor) -> Rows:
        """Return for each real training row a chance in proportion to the last classifier's accuracy on its stratum."""
        train, validation = self.split.train, self.split.validation
        right = last(validation.inputs).y_pred == validation.y
        code, of = (part.y * self.n_groups + part.group for part in (validation, train))
        rows = np.bincount(code, minlength=2 * self.n_groups)
        accuracy = np.bincount(code, weights=right, minlength=2 * self.n_groups) / np.maximum(rows, 1)
        weight = accuracy[of]
        return weight / weight.sum() if weight.sum() else np.full(len(train), 1 / len(train))

    def generator_rows(self, t: int, old: Maker, last: Predictor) -> tuple[Rows, dict[str, float]]:
        """Return the training rows of G_t, t > 0, and their composition as C_(t-1) and A_S see it."""
        loop, n, purpose = self.loop, len(self.real), f"generator rows {t}"
        if loop.reparation in ("generator", "both"):
            rows, y, report = self.curated(old, last, n, True, purpose)
        else:
            synthetic, report = self.synthetic_rows(n, loop.synthetic_share), {}
            random = np.random.default_rng(self.seed(f"{purpose}, real rows"))
            natural = self.real[random.choice(n, n - synthetic, replace=False)]
            drawn = self.samples(old, purpose)(synthetic) if synthetic else natural[:0]
            rows = np.concatenate([drawn, natural])[random.permutation(n)]
            y = self.label(last, rows)
        composition = _measures.composition("training", y, self.groups(rows), self.schema, self.ideal)
        return rows, {f"generator_{name}": value for name, value in {**composition, **report}.items()}

    # ---------------------------------------------------------------- training

    def fit_generator(self, rows: Rows, generation: int) -> Maker:
        """Return G_t, fitted from scratch."""
        seed = self.seed(f"generator {generation}")
        return Maker(self.generator.fit(rows, self.schema.image_shape, seed=seed), rows, generation)

    def fit_classifier(self, train: Samples, validation: Samples, generation: int) -> Classifier:
        """Return C_t, fitted from scratch; a constant if the rows have one label.

        Raises:
            NotApplicable: the method refuses these rows.
        """
        if len(np.unique(train.y)) == 1:
            predict = _constant(int(train.y[0]))
            return Classifier(predict, train, validation, generation, {"degenerate": 1.0}, {})
        fitted = Fitted.of(self.method.fit(train, validation, seed=self.seed(f"classifier {generation}")))
        named = {f"generation {generation}: {name}": curve for name, curve in fitted.diagnostics.items()}
        return Classifier(fitted.points[fitted.chosen], train, validation, generation, {"degenerate": 0.0}, named)

    def next_classifier(self, t: int, maker: Maker, last: Classifier | None) -> tuple[Classifier, dict[str, float]]:
        """Return C_t and what its training rows were; C_(t-1) stays in use where the method refuses them."""
        previous = self.annotator if last is None else last.predict
        labeller = previous if self.loop.sequential else self.annotator
        n = max(2, round(self.loop.passes * len(self.split.train)))
        train, report = self.classifier_rows(t, maker, labeller, previous, n, "classifier rows")
        validation = self.split.validation
        if self.loop.validation == "synthetic":
            validation, _ = self.classifier_rows(t, maker, labeller, previous, len(validation), "validation rows")
        notes = _measures.composition("training", train.y, train.group, self.schema, self.ideal)
        lost = sum(share == 0 for name, share in notes.items() if name.startswith("training_share"))
        notes = {**notes, **report, "lost_strata": lost}
        try:
            classifier = self.fit_classifier(train, validation, t)
        except NotApplicable:
            if last is None:
                raise
            return last, {**notes, "refused": 1.0}
        return classifier, {**notes, "refused": 0.0}

    # ---------------------------------------------------------------- the loop

    def outcomes(self, after: int = -1, state: Arrays | None = None) -> Iterator[Outcome]:
        """Yield an outcome for each generation after the one whose state is given (none: from the first on)."""
        maker, classifier = self.restored(state)
        last = self.loop.generations - 1
        for t in range(after + 1, last + 1):
            values: dict[str, float] = dict(self.annotator_notes) if t == 0 else {}
            previous = self.annotator if classifier is None else classifier.predict
            if t > 0 and self.loop.retrains:
                rows, notes = self.generator_rows(t, maker, previous)
                maker = self.fit_generator(rows, t)
                values.update(notes)
            values["generator_loss"] = maker.fitted.loss
            values.update(self.population(t, maker, self.annotator if self.loop.retrains else previous))
            classifier, notes = self.next_classifier(t, maker, classifier)
            values.update(notes)
            yield self.outcome(t, classifier, values, None if t == last else self.state(maker, classifier))

    def population(self, t: int, maker: Maker, labeller: Predictor) -> dict[str, float]:
        """Return the composition of fresh samples of G_t, and how sure A_S is of their groups."""
        rows = self.samples(maker, f"population {t}")(self.loop.population)
        y, group = self.label(labeller, rows), self.groups(rows)
        notes = _measures.composition("population", y, group, self.schema, self.ideal)
        notes["population_favourable_share"] = float((y == self.schema.favorable_label).mean())
        notes["population_protected_share"] = float((group == self.schema.protected).mean())
        chances = rows[:, self.d :] if self.loop.generate_group else self.group_chances(rows)
        return {**notes, **_measures.confidence(chances, self.schema.group_names)}

    def outcome(self, t: int, classifier: Classifier, values: dict[str, float], state: Arrays | None) -> Outcome:
        """Return what is measured of C_t: its predictions for the original test part."""
        test, validation = self.split.test, self.split.validation
        predictions = classifier.predict(test.inputs)
        values = {
            **values,
            **classifier.notes,
            **_measures.rates("validation", validation, classifier.predict(validation.inputs)),
            **_measures.decorrelated(test, predictions),
        }
        diagnostics = {} if values["refused"] else classifier.diagnostics
        return Outcome(test, {"": predictions}, "", t, diagnostics, values, state)

    # ---------------------------------------------------------------- resuming after a generation

    def state(self, maker: Maker, classifier: Classifier) -> Arrays:
        """Return the rows that the current models were trained on: their training, repeated, gives the same models."""
        state = {"classifier": np.array(classifier.generation), "generator": np.array(maker.generation)}
        parts = {"train": classifier.train}
        if self.loop.validation == "synthetic":
            parts["validation"] = classifier.validation
        for name, part in parts.items():
            state.update({f"{name} X": part.X, f"{name} y": part.y, f"{name} group": part.group})
        if maker.generation:
            state["generator rows"] = maker.rows
        return state

    def restored(self, state: Arrays | None) -> tuple[Maker, Classifier | None]:
        """Return the models that a state describes; without one, G_0 trained on real rows."""
        if state is None:
            return self.fit_generator(self.real, 0), None
        maker = self.fit_generator(state.get("generator rows", self.real), int(state["generator"]))
        parts = {"validation": self.split.validation}
        for name in ("train", "validation"):
            if f"{name} X" in state:
                X, y, group = (state[f"{name} {what}"] for what in ("X", "y", "group"))
                parts[name] = Samples(X, group, self.schema, y)
        return maker, self.fit_classifier(parts["train"], parts["validation"], int(state["classifier"]))


def _predictor(chances: Callable[[Rows], Rows]) -> Predictor:
    def predict(inputs: Inputs) -> Predictions:
        found = chances(inputs.X)  # (n, 2)
        return Predictions(found.argmax(axis=1), found[:, 1])

    return predict


def _constant(label: int) -> Predictor:
    def predict(inputs: Inputs) -> Predictions:
        return Predictions(np.full(len(inputs), label))

    return predict

"""The stream scenario: any method, batch by batch, with what happens on the way counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from fairbench_projection._prediction import Scorer, WholeBatch
from fairbench_projection._rule import Rule
from fairbench_projection.parity_projection import ParityProjection
from fairbench_projection.parity_projection_posthoc import PosthocProjection
from fairbench_projection.stream import Stream

from fairbench.api import Fitted, NotApplicable, Predictions, Split
from fairbench.data.examples import example_split

GAP = 0.3


@dataclass(frozen=True)
class Scored:
    """Score by the first feature and the group; select from 0.6 on."""

    name: ClassVar[str] = "scored"

    def fit(self, train, validation, *, seed):
        def predict(inputs):
            noise = 1 / (1 + np.exp(-inputs.X[:, 1].astype(float)))
            return Predictions.from_score(0.2 + GAP * (inputs.group == 1) + 0.4 * noise, 0.6)

        return Fitted({"": predict}, "", {"loss": [0.1]})


@dataclass(frozen=True)
class Decided:
    """Decide without a score."""

    name: ClassVar[str] = "decided"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions((inputs.X[:, 0] > 0.5).astype(int))


@dataclass(frozen=True)
class Counting:
    """Score a row by how many batches came before it: only ``stream()`` remembers."""

    name: ClassVar[str] = "counting"

    def fit(self, train, validation, *, seed):
        class Predictor:
            def __call__(self, inputs):
                return self.stream()(inputs)

            def stream(self):
                seen = []

                def predict(inputs):
                    seen.append(len(inputs))
                    return Predictions.from_score(np.full(len(inputs), min(1.0, len(seen) / 100)))

                return predict

        return Predictor()


SPLIT = example_split(rows=1200)


def streamed(method=None, split: Split = SPLIT, **params):
    (outcome,) = Stream(**params).run(split, method or Scored(), lambda purpose: len(purpose))
    return outcome


@pytest.mark.parametrize("size", [1, 4, 16, 64, 1000])
def test_every_test_row_comes_once_and_is_predicted_as_in_one_piece(size):
    outcome = streamed(batch_size=size)
    assert sorted(outcome.samples.X[:, 0]) == sorted(SPLIT.test.X[:, 0])
    predict = Scored().fit(None, None, seed=0).points[""]
    whole = predict(outcome.samples.inputs)
    np.testing.assert_array_equal(outcome.predictions[""].y_score, whole.y_score)
    np.testing.assert_array_equal(outcome.predictions[""].y_pred, whole.y_pred)  # its own threshold, not one half
    assert outcome.values["stream_batches"] == -(-len(SPLIT.test) // size)
    assert outcome.diagnostics["loss"] == [0.1]


def test_uncorrected_values_by_another_way():
    outcome = streamed(batch_size=8)
    score, group = outcome.predictions[""].y_score, outcome.samples.group
    gaps, pooled = [], []
    for start in range(0, len(score), 8):
        z, g = score[start : start + 8], group[start : start + 8]
        gaps.append(abs(z[g == 0].mean() - z[g == 1].mean()) if 0 < g.sum() < len(g) else 0.0)
        z, g = score[: start + 8], group[: start + 8]
        pooled.append(abs(z[g == 0].mean() - z[g == 1].mean()) if 0 < g.sum() < len(g) else 0.0)
    sizes = [len(score[start : start + 8]) for start in range(0, len(score), 8)]
    np.testing.assert_allclose(outcome.diagnostics["batch_gap"], gaps, atol=1e-12)
    np.testing.assert_allclose(outcome.diagnostics["pooled_gap"], pooled, atol=1e-12)
    assert outcome.values == pytest.approx(
        {
            "stream_average_gap": np.average(gaps, weights=sizes),
            "stream_pooled_gap": pooled[-1],
            "stream_largest_pooled_gap": max(pooled),
            "stream_steps_above": sum(gap > 0.05 for gap in pooled),
            "stream_largest_batch_gap": max(gaps),
            "stream_distortion": 0.0,
            "stream_clipped_share": 0.0,
            "stream_batches": len(gaps),
            "stream_one_group_batches": sum(gap == 0.0 for gap in gaps),
            "stream_infeasible_batches": 0.0,
        }
    )


@pytest.mark.parametrize("correction", ["pool", "dual_pool"])
@pytest.mark.parametrize("size", [1, 4, 16])
def test_the_pool_keeps_any_methods_scores_within_epsilon(correction, size):
    values = streamed(batch_size=size, correction=correction).values
    assert values["stream_largest_pooled_gap"] <= 0.05 + 1e-9
    assert values["stream_steps_above"] == 0
    assert values["stream_distortion"] > 0


def test_the_published_correction_does_nothing_to_single_rows():
    plain, priced = streamed(batch_size=1), streamed(batch_size=1, correction="primal_dual")
    assert priced.values["stream_pooled_gap"] == plain.values["stream_pooled_gap"] > 0.2
    assert priced.values["stream_average_gap"] == priced.values["stream_largest_price"] == 0.0
    assert streamed(batch_size=16, correction="primal_dual").values["stream_largest_price"] > 0
    assert "stream_largest_price" not in plain.values
    assert priced.values["stream_one_group_batches"] == len(SPLIT.test)


def test_corrected_scores_are_cut_at_one_half():
    made = streamed(batch_size=16, correction="pool").predictions[""]
    np.testing.assert_array_equal(made.y_pred, made.y_score >= 0.5)


def test_a_predictor_that_remembers_is_asked_to_begin_anew():
    made = streamed(Counting(), batch_size=60)
    np.testing.assert_allclose(np.unique(made.predictions[""].y_score), [0.01, 0.02, 0.03])
    assert len(SPLIT.test) == 180


def test_what_a_predictor_corrects_by_itself_counts_too():
    class Halving:
        infeasible = 0
        before = np.zeros(0)

        def __call__(self, inputs):
            self.before = np.full(len(inputs), 0.8)
            self.infeasible += 1
            return Predictions.from_score(np.full(len(inputs), 0.4))

    @dataclass(frozen=True)
    class Correcting:
        def fit(self, train, validation, *, seed):
            predictor = Halving()
            predictor.stream = Halving
            return predictor

    values = streamed(Correcting(), batch_size=60).values
    assert values["stream_distortion"] == pytest.approx(0.4**2)
    assert values["stream_infeasible_batches"] == 3.0


@pytest.mark.parametrize("method", [ParityProjection, PosthocProjection])
@pytest.mark.parametrize("mode", ["frozen", "batch", "stream", "package"])
@pytest.mark.parametrize("size", [1, 16])
def test_every_mode_of_the_projected_networks_is_streamed_and_its_own_change_measured(method, mode, size):
    how = {"package_compat": True, "batch_size": 100} if mode == "package" else {"mode": mode}
    method = method(epochs=2, epsilon=0.0, **how)
    outcome = streamed(method, batch_size=size)
    fitted = Fitted.of(method.fit(SPLIT.train, SPLIT.validation, seed=len("fit")))
    predict = fitted.points[mode]
    chance = predict.scorer(outcome.samples.inputs)[1]
    made = outcome.predictions[mode].y_score
    np.testing.assert_allclose(
        outcome.values["stream_distortion"], ((made - chance) ** 2).mean(), rtol=1e-9, atol=1e-18
    )
    if mode == "frozen":
        np.testing.assert_allclose(made, predict(outcome.samples.inputs).y_score, rtol=1e-12)
        assert outcome.values["stream_distortion"] > 0
    if mode == "stream":
        assert outcome.values["stream_largest_pooled_gap"] <= 1e-9
    if mode == "batch":
        assert outcome.values["stream_largest_batch_gap"] <= 1e-9


def test_rows_that_a_method_moves_to_its_bounds_count_as_clipped():
    rule = Rule("mean_prediction", 0.0, "probability", False, SPLIT.test.schema)
    predict = WholeBatch(Scorer(lambda inputs: np.where(inputs.X[:, 1] > 0, 20.0, inputs.group - 3.0), rule))

    @dataclass(frozen=True)
    class Ready:
        def fit(self, train, validation, *, seed):
            return predict

    outcome = streamed(Ready(), batch_size=60)
    made = outcome.predictions[""].y_score
    at_bound = (made <= 1e-6) | (made >= 1 - 1e-6)
    assert 0 < at_bound.mean() < 1
    assert outcome.values["stream_clipped_share"] == pytest.approx(at_bound.mean())


def test_every_operating_point_is_streamed_and_the_chosen_one_measured():
    @dataclass(frozen=True)
    class Two:
        def fit(self, train, validation, *, seed):
            return Fitted(
                {"a": lambda i: Predictions.from_score(np.full(len(i), 0.2)), "b": Counting().fit(None, None, seed=0)},
                "a",
            )

    outcome = streamed(Two(), batch_size=60)
    assert set(outcome.predictions) == {"a", "b"}
    assert outcome.values["stream_largest_pooled_gap"] == pytest.approx(0.0, abs=1e-12)  # a running sum's rounding


def test_batches_can_be_drawn_with_replacement_and_in_uneven_sizes():
    outcome = streamed(batch_size=10, batches=50, uneven=True)
    assert outcome.values["stream_batches"] == 50
    assert 50 <= len(outcome.samples) <= 500
    rows = Stream(batch_size=10, uneven=True).draw(180, np.random.default_rng(0))
    assert sorted(np.concatenate(rows).tolist()) == list(range(180))
    assert {len(part) for part in rows} >= {1, 6, 10}


def test_the_stream_is_the_same_for_every_method():
    first, second = streamed(Scored(), batch_size=7), streamed(Decided(), batch_size=7)
    np.testing.assert_array_equal(first.samples.X, second.samples.X)


def test_labels_of_the_stream_change_nothing_that_is_given_out():
    test = SPLIT.test
    flipped = Split(SPLIT.train, SPLIT.validation, type(test)(test.X, test.group, test.schema, 1 - test.y))
    for correction in ("none", "primal_dual", "dual_pool"):
        there, here = (streamed(split=split, batch_size=5, correction=correction) for split in (SPLIT, flipped))
        assert there.predictions[""].y_score.tobytes() == here.predictions[""].y_score.tobytes()


def test_decisions_without_scores_are_watched_but_cannot_be_corrected():
    outcome = streamed(Decided(), batch_size=16)
    rates = [outcome.predictions[""].decision[outcome.samples.group == g].mean() for g in (0, 1)]
    assert outcome.values["stream_pooled_gap"] == pytest.approx(abs(rates[0] - rates[1]))
    with pytest.raises(NotApplicable, match="correction pool acts on scores; this method gives decisions only"):
        streamed(Decided(), correction="pool")


def test_a_correction_for_two_groups_does_not_apply_to_three():
    split = example_split(groups=3, rows=600)
    assert streamed(split=split, correction="pool").values["stream_largest_pooled_gap"] <= 0.05 + 1e-9
    with pytest.raises(NotApplicable, match="correction primal_dual compares two groups, not 3"):
        streamed(split=split, correction="primal_dual")

"""Who is trained on what in the three settings, seen by recording fakes; and what happens when something dies out."""

from __future__ import annotations

import numpy as np
import pytest
from fairbench_feedback.loops import SeqClass, SeqGenNonSeqClass, SeqGenSeqClass
from feedback_fakes import REAL, FakeMethod, Journal, N, real_split, seed, with_fakes

from fairbench.api import DataError, NotApplicable, Predictions

SETTINGS = (SeqClass, SeqGenSeqClass, SeqGenNonSeqClass)
TRAINED = 2 * N  # rows of a classifier with passes=2, so that they are told from a generator's


def run(scenario, method=None, split=None, **parameters):
    """Return the journal and the outcomes of a loop of fakes."""
    journal = Journal()
    loop = with_fakes(scenario, journal, **{"generations": 3, "passes": 2.0, **parameters})
    method = FakeMethod(journal) if method is None else method(journal)
    return journal, list(loop.run(split or real_split(), method, seed))


def marks(samples):
    return set(samples.X[:, 0].tolist())


@pytest.mark.parametrize("scenario", SETTINGS)
def test_classifiers_see_samples_of_their_generation_alone(scenario):
    journal, outcomes = run(scenario)
    generators = [1.0, 1.0, 1.0] if scenario is SeqClass else [1.0, 2.0, 3.0]
    assert [marks(train) for train in journal.classifiers] == [{mark} for mark in generators]
    assert [len(train) for train in journal.classifiers] == [TRAINED] * 3
    assert len(set(journal.seeds)) == 3  # new first weights in every generation
    assert [outcome.step for outcome in outcomes] == [0, 1, 2]


@pytest.mark.parametrize("scenario", SETTINGS)
def test_labels_come_from_the_classifier_before_or_always_from_the_annotator(scenario):
    journal, _ = run(scenario)
    labelled = [name for name, n, _ in journal.labelled if n == TRAINED]
    assert labelled == (["A_L"] * 3 if scenario is SeqGenNonSeqClass else ["A_L", "C_0", "C_1"])


def test_the_first_generator_alone_sees_real_rows():
    assert [set(rows) for rows in run(SeqClass)[0].generators] == [set(REAL)]
    for scenario in (SeqGenSeqClass, SeqGenNonSeqClass):
        for reparation in ("none", "generator", "both"):  # nor does reparation touch G_0
            journal, _ = run(scenario, reparation=reparation)
            assert [set(rows) for rows in journal.generators] == [set(REAL), {1.0}, {2.0}]
            assert [len(rows) for rows in journal.generators] == [N] * 3


@pytest.mark.parametrize("scenario", [SeqGenSeqClass, SeqGenNonSeqClass])
def test_reparation_of_generators_takes_strata_from_the_classifier_before(scenario):
    journal, _ = run(scenario, reparation="generator")
    pool = N + N // 4
    assert [(name, marks) for name, n, marks in journal.labelled if n == pool] == [("C_0", {1.0}), ("C_1", {2.0})]


@pytest.mark.parametrize("scenario", SETTINGS)
def test_reparation_of_classifiers_takes_strata_from_their_labeller(scenario):
    journal, outcomes = run(scenario, reparation="classifier")
    pool = TRAINED + TRAINED // 4
    names = [name for name, n, _ in journal.labelled if n == pool]
    assert names == (["A_L"] * 3 if scenario is SeqGenNonSeqClass else ["A_L", "C_0", "C_1"])
    assert [len(train) for train in journal.classifiers] == [TRAINED] * 3  # as many rows as without reparation
    assert all(0 <= outcome.values["deficit_share"] < 1 for outcome in outcomes)


def test_batches_are_curated_one_by_one():
    journal, _ = run(SeqClass, reparation="classifier", batch=16)
    pools = [n for name, n, _ in journal.labelled if name == "A_L"]
    assert pools.count(20) == 3  # of 48 rows in batches of 16, with budgets of 4


@pytest.mark.parametrize(("share", "synthetic"), [(0.0, 0), (0.5, 12), (0.9, 21), (1.0, 24)])
def test_mixtures_hold_the_whole_part_of_the_synthetic_share(share, synthetic):
    journal, _ = run(SeqGenSeqClass, synthetic_share=share)
    assert journal.generators[1].count(1.0) == synthetic
    assert len(journal.generators[1]) == N
    journal, _ = run(SeqClass, classifier_share=share, passes=1.0)
    for train in journal.classifiers:
        assert (train.X[:, 0] == 1.0).sum() == synthetic


def test_mixtures_hold_the_whole_part_of_every_batch():
    journal, _ = run(SeqClass, classifier_share=0.9, passes=1.0, batch=5)
    assert (journal.classifiers[0].X[:, 0] == 1.0).sum() == 4 * 4 + 3  # int(.9 * 5) of four batches, int(.9 * 4)


def test_real_rows_keep_their_labels_and_groups_or_get_the_labellers():
    split = real_split()
    for labels in ("recorded", "labeller"):
        journal, _ = run(SeqClass, split=split, classifier_share=0.0, passes=1.0, natural_labels=labels)
        train = journal.classifiers[0]
        number = train.X[:, 1].astype(int)
        assert sorted(number) == list(range(N))  # each once
        np.testing.assert_array_equal(train.group, split.train.group[number])
        expected = split.train.y[number] if labels == "recorded" else number % 2
        np.testing.assert_array_equal(train.y, expected)


def test_disparate_sampling_leaves_out_strata_that_the_last_classifier_gets_wrong():
    split = real_split(200)
    journal, _ = run(SeqClass, split=split, classifier_share=0.0, natural_sampling="disparate", generations=1)
    right = np.arange(len(split.validation)) % 2 == split.validation.y  # the annotator says the parity of the number
    stratum = split.validation.y * 2 + split.validation.group
    train = journal.classifiers[0]
    for code in range(4):
        accuracy = right[stratum == code].mean() if (stratum == code).any() else 0
        drawn = ((train.y * 2 + train.group) == code).any()
        assert drawn == (accuracy > 0)


@pytest.mark.parametrize("scenario", SETTINGS)
def test_a_lineage_that_goes_on_from_a_state_ends_as_if_it_had_not_stopped(scenario):
    whole = run(scenario, reparation="classifier", validation="synthetic")[1]
    journal = Journal()
    loop = with_fakes(scenario, journal, generations=3, passes=2.0, reparation="classifier", validation="synthetic")
    rest = list(loop.resume(real_split(), FakeMethod(journal), seed, 0, whole[0].state))
    assert [outcome.step for outcome in rest] == [1, 2]
    for again, before in zip(rest, whole[1:]):
        assert again.predictions[""].y_pred.tobytes() == before.predictions[""].y_pred.tobytes()
    assert whole[-1].state is None  # nothing comes after it


def test_one_label_alone_gives_a_constant_and_says_so():
    journal, outcomes = run(SeqClass, lambda journal: FakeMethod(journal, constant_from=1), generations=4)
    assert [outcome.values["degenerate"] for outcome in outcomes] == [0, 0, 1, 1]
    assert len(journal.classifiers) == 2  # the method is not asked to learn one label
    assert set(outcomes[-1].predictions[""].y_pred) == {0}
    assert outcomes[-1].values["lost_strata"] == 2
    assert outcomes[-1].values["training_share[y=1,major]"] == 0


class Choosy(FakeMethod):
    """A method that takes no rows after its first fit."""

    def fit(self, train, validation, *, seed):
        if self.journal.classifiers:
            raise NotApplicable("the group 'minor' has no rows")
        return super().fit(train, validation, seed=seed)


def test_where_the_method_refuses_its_rows_the_classifier_before_serves_on():
    journal, outcomes = run(SeqClass, Choosy)
    assert [outcome.values["refused"] for outcome in outcomes] == [0, 1, 1]
    assert [name for name, n, _ in journal.labelled if n == TRAINED] == ["A_L", "C_0", "C_0"]
    again = Choosy(Journal())
    loop = with_fakes(SeqClass, again.journal, generations=3, passes=2.0)
    assert [o.values["refused"] for o in loop.resume(real_split(), again, seed, 1, outcomes[1].state)] == [1]


def test_a_method_that_refuses_the_first_rows_does_not_apply():
    class Never(FakeMethod):
        def fit(self, train, validation, *, seed):
            raise NotApplicable("never")

    with pytest.raises(NotApplicable, match="never"):
        run(SeqClass, Never)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (lambda n: np.full((n, 2), np.nan), r"generator fake returned nan in row 0, column 0 of 7 samples; it has div"),
        (lambda n: np.zeros((n, 3)), r"generator fake returned an array of shape \(7, 3\); \(7, 2\) was asked for"),
        (lambda n: np.zeros((n - 1, 2)), r"generator fake returned an array of shape \(6, 2\)"),
    ],
)
def test_a_generator_that_returns_nonsense_is_named(monkeypatch, samples, message):
    monkeypatch.setattr("feedback_fakes.FakeSampler.sample", lambda self, n, *, seed: samples(n))
    with pytest.raises(DataError, match=message):
        run(SeqClass)


def test_an_annotator_below_the_floor_is_fitted_again_and_then_refused():
    fits = []

    class Wrong:
        def fit(self, X, codes, n_classes, image_shape, *, seed):
            fits.append(seed)
            # right about nobody: the opposite of the validation labels
            return lambda rows: np.eye(2)[1 - real_split().validation.y[: len(rows)]]

    class Faked(SeqClass):
        def build_annotators(self):
            return Wrong(), with_fakes(SeqClass, Journal()).build_annotators()[1]

    with pytest.raises(NotApplicable, match=r"right on 0.00 of one group's validation rows, after 5 attempts; annot"):
        list(Faked().run(real_split(), FakeMethod(Journal()), seed))
    assert len(set(fits)) == 5


def test_what_is_recorded_covers_every_curve_of_the_paper():
    _, outcomes = run(SeqGenSeqClass, reparation="both", population=40)
    last = outcomes[-1].values
    for name in (
        *("population_kl", "population_favourable_share", "population_protected_share", "annotator_confidence[minor]"),
        *("training_kl", "training_share[y=0,major]", "deficit_share", "pool_share[y=1,minor]", "generator_loss"),
        *("generator_training_kl", "generator_deficit_share", "validation_accuracy", "decorrelated_accuracy"),
        *("validation_equalized_odds_difference", "degenerate", "refused", "lost_strata"),
    ):
        assert name in last, name
    for name in ("annotator_accuracy", "annotator_equalized_odds_difference", "annotator_fits"):
        assert name in outcomes[0].values, name
        assert name not in last
    strata = [value for name, value in last.items() if name.startswith("training_share")]
    assert sum(strata) == pytest.approx(1)
    assert isinstance(outcomes[0].predictions[""], Predictions)

"""What the checks of methods find: each plants one fault in a method that is else in order."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from fairbench.api import Fitted, NotApplicable, Predictions
from fairbench.plugins.loading import load_plugins
from fairbench.testing import CHECKS, Nonconforming, _checked, check_plugin
from fairbench.testing.methods import (
    method_leaves_things_as_found,
    method_predicts_each_row_alone,
    method_takes_a_validation_part_without_a_group,
)


def scores(inputs):
    return 1 / (1 + np.exp(-inputs.X[:, 0].astype(float)))


def planted(fit):
    """Return a method whose ``fit`` calls the function."""

    @dataclass(frozen=True)
    class Planted:
        """A method with one fault."""

        name = "planted"

        def fit(self, train, validation, *, seed):
            return fit(train, validation, seed)

    return Planted


def predicting(predict):
    """Return a method with a given predictor."""
    return planted(lambda train, validation, seed: predict)


def above_the_batch_median(inputs):
    score = scores(inputs)
    return Predictions.from_score(score, np.median(score))


def scaled_by_the_batch(inputs):
    score = scores(inputs)
    return Predictions.from_score(score / score.max())


def even_within_the_batch(inputs):
    score = scores(inputs)
    for code in np.unique(inputs.group):
        score[inputs.group == code] -= score[inputs.group == code].mean() - 0.5
    return Predictions.from_score(score.clip(0, 1))


def all_of_a_large_batch(inputs):
    return Predictions(np.full(len(inputs), int(len(inputs) > 20)))


def the_better_half(inputs):
    score = scores(inputs)
    return Predictions((score >= np.median(score)).astype(int), score)


def the_best_tenth(inputs):
    score = scores(inputs)
    chosen = np.zeros(len(inputs), dtype=int)
    chosen[np.argsort(-score, kind="stable")[: len(inputs) // 10]] = 1
    return Predictions(chosen, score)


def all_of_a_very_large_batch(inputs):
    return Predictions(np.full(len(inputs), int(len(inputs) > 100)))


def by_place(inputs):
    return Predictions(np.arange(len(inputs)) % 2)


@pytest.mark.parametrize(
    "predict",
    [
        above_the_batch_median,
        scaled_by_the_batch,
        even_within_the_batch,
        all_of_a_large_batch,
        all_of_a_very_large_batch,
        the_better_half,
        the_best_tenth,
        by_place,
    ],
)
def test_a_predictor_that_uses_the_whole_batch_is_found(predict):
    with pytest.raises(Nonconforming, match=r"when .*(rows|halves|beside)"):
        method_predicts_each_row_alone(predicting(predict))


def test_a_batch_whose_other_rows_are_replaced_is_tried():
    def fit(train, validation, seed):
        def selects_all_beside_a_training_row(inputs):
            return Predictions(np.full(len(inputs), int((train.X[0] == inputs.X).all(axis=1).any())))

        return selects_all_beside_a_training_row

    with pytest.raises(Nonconforming, match="when other rows stand beside them"):
        method_predicts_each_row_alone(planted(fit))


def test_a_decision_that_moves_though_its_score_stays_is_no_rounding():
    calls = []

    def moves_one_row_of_the_second_call(inputs):
        calls.append(len(inputs))
        score = scores(inputs)
        decision = (score >= 0.5).astype(int)
        decision[0] ^= int(len(calls) == 2)
        return Predictions(decision, score)

    with pytest.raises(Nonconforming, match="decisions change when the rows are permuted"):
        method_predicts_each_row_alone(predicting(moves_one_row_of_the_second_call))


def test_a_predictor_may_say_that_it_decides_on_whole_batches():
    class Declared:
        whole_batch = True

        def __call__(self, inputs):
            return above_the_batch_median(inputs)

    def alone(inputs):
        return Predictions.from_score(scores(inputs))

    method = planted(lambda *_: Fitted({"alone": alone, "batch": Declared()}, "alone"))
    assert method_predicts_each_row_alone(method) == "decides on whole batches, as it declares: 'batch'"
    assert method_predicts_each_row_alone(predicting(alone)) == ""


def test_a_predictor_with_a_memory_is_found():
    calls = []

    def remembering(inputs):
        calls.append(len(inputs))
        return Predictions(np.full(len(inputs), int(len(calls) > 14)))

    with pytest.raises(Nonconforming, match="from call to call"):
        method_predicts_each_row_alone(predicting(remembering))


CHANGES = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the working directory": lambda: os.chdir("/"),
    "numpy's error state": lambda: np.seterr(all="raise"),
    "the environment": lambda: os.environ.update(LEFT_BEHIND="1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_setting_that_every_fit_changes_alike_is_named(what):
    def fit(train, validation, seed):
        CHANGES[what]()
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))

    method = planted(fit)
    for check in CHECKS["methods"][1:3]:  # an earlier check has fitted it before
        try:
            check(method)
        except Nonconforming as error:
            assert f"changed {what}" in str(error)  # noqa: PT017 - some checks find nothing, and that is right
            break
    else:
        pytest.fail("nothing was found")
    assert torch.get_default_dtype() == torch.float32
    assert "LEFT_BEHIND" not in os.environ


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # torch says so once in a process
def test_labels_that_are_changed_past_the_lock_are_found():
    def fit(train, validation, seed):
        torch.from_numpy(train.y).mul_(2).sub_(1)
        return lambda inputs: Predictions(np.zeros(len(inputs), dtype=int))

    with pytest.raises(Nonconforming, match="changed the data"):
        method_leaves_things_as_found(planted(fit))


def test_a_group_that_validation_lacks_is_tried():
    def quantiles(train, validation, seed):
        score = scores(validation)
        cut = np.array([np.quantile(score[validation.group == code], 0.5) for code in (0, 1)])
        return lambda inputs: Predictions.from_score(scores(inputs), cut[inputs.group])

    with pytest.raises(IndexError):
        method_takes_a_validation_part_without_a_group(planted(quantiles))

    def refusing(train, validation, seed):
        if len(np.unique(validation.group)) < 2:
            raise NotApplicable("a group has no validation rows")
        return quantiles(train, validation, seed)

    method_takes_a_validation_part_without_a_group(planted(refusing))


PLUGIN = '''
"""Two methods: one sets torch's default dtype in each fit, one is in order."""
from dataclasses import dataclass
import numpy as np
from fairbench.api import Predictions, hookimpl

def nobody(inputs):
    return Predictions(np.zeros(len(inputs), dtype=int))

@dataclass(frozen=True)
class Changing:
    """Changes a setting."""
    name = "changing"
    def fit(self, train, validation, *, seed):
        import torch
        torch.set_default_dtype(torch.float64)
        return nobody

@dataclass(frozen=True)
class Sound:
    """Selects nobody."""
    name = "sound"
    def fit(self, train, validation, *, seed):
        return nobody

@hookimpl
def fairbench_methods():
    return [Changing, Sound]
'''


@pytest.mark.long
def test_check_blames_a_change_on_the_method_that_made_it(tmp_path):
    file = tmp_path / "two.py"
    file.write_text(PLUGIN)
    registry, _ = load_plugins((str(file),))
    failed = {(f.component, f.check) for f in check_plugin(registry, str(file)) if f.result == "failed"}
    assert failed == {("changing", "method_leaves_things_as_found")}


FIRST = """
from fairbench.testing import Nonconforming
from fairbench.testing.methods import method_leaves_things_as_found
from two import Changing
try:
    method_leaves_things_as_found(Changing)
except Nonconforming as error:
    print(error)
"""


@pytest.mark.long
def test_check_sees_what_a_method_changes_in_a_library_that_it_is_the_first_to_import(tmp_path):
    change = "import sklearn; sklearn.set_config(transform_output='pandas')"
    torchs = "import torch\n        torch.set_default_dtype(torch.float64)"
    (tmp_path / "two.py").write_text(PLUGIN.replace(torchs, change))
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("fit or the predictor changed scikit-learn's configuration; restore")


def test_a_component_that_ends_the_program_fails_its_check():
    def exits(component):
        sys.exit("bye")

    assert _checked("ending", exits, None) == ("ending", "exits", "failed", "SystemExit: bye")

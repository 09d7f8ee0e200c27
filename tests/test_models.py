"""Fitted models written by ``fairbench export-model`` and read again: the same predictions, and no trust in files."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from torch import nn

import fairbench
from fairbench.api.exports import exported_network, network_of
from fairbench.api.torch import linear, mlp, predictor
from fairbench.cells import Choice
from fairbench.data.encoding import Encoding
from fairbench.data.own.declaration import declared
from fairbench.data.preparation import encode
from fairbench.errors import CannotExport, DataError, FairbenchError
from fairbench.models.exporting import chosen_cell, export_model
from fairbench.models.files import ABOUT, ARRAYS, SKOPS, read
from fairbench.running.runfile import read_run
from fairbench.running.session import Session, Settings
from fairbench.running.store import FILE_NAME, Store

pytest.importorskip("safetensors")

NETWORKS = ("mlp[epochs=2]", "threshold[epochs=2]", "faalgrad[epochs=2]", "fairbinn[epochs=1]", "penalty_dp[epochs=1]")
ESTIMATORS = ("logistic", "boosting[rounds=5]")
DOCUMENT = Path(__file__).parents[1] / "docs" / "models.md"


def loans(n=400):
    rng = np.random.default_rng(0)
    age, income = rng.integers(18, 90, n).astype(float), rng.normal(30, 10, n)
    paid = (income + rng.normal(0, 8, n) > 28).astype(int)
    return pandas.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "income": income,
            "job": rng.choice(["clerk", "nurse", "tailor"], n),
            "sex": rng.choice(["female", "male"], n),
            "paid": np.where(paid, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    loans().to_csv(path / "loans.csv", index=False)
    return fairbench.run(
        data=path / "loans.csv",
        label="paid",
        favorable="yes",
        group="sex",
        methods=[*NETWORKS, *ESTIMATORS, "constant"],
        repeats=1,
        workers=1,
        out=path / "run",
        quiet=True,
    )


def record_of(run, method):
    (record,) = [one for one in run.results.records if one.cell.method.name == Choice(method).name.partition("[")[0]]
    assert record.status == "done", record.reason
    return record


def stored(run, method):
    """Return the stored test predictions with their truth, and the table's rows that they are of."""
    record = record_of(run, method)
    with Store(run.path / FILE_NAME) as store:
        truth, made = store.predictions(record.cell.key)[0, record.chosen]
    return truth, made, loans().iloc[truth.rows]


def export(command, run, method, folder="model"):
    return command("export-model", run.path, f"{method.partition('[')[0]}/loans/0", "--out", folder)


@pytest.fixture(scope="module")
def network(run, tmp_path_factory):
    """The folder of an exported network, and what is stored of it."""
    folder = tmp_path_factory.mktemp("network") / "model"
    own = read_run(run.path)["suite"]["data"]
    session = Session(Settings(own=tuple(declared(name, table, "suite") for name, table in own.items())))
    export_model(run.path, chosen_cell(run.path, record_of(run, "mlp").cell.key[:10]), session, folder)
    return folder


@pytest.mark.parametrize("method", [*NETWORKS[1:], *ESTIMATORS])
def test_a_model_predicts_what_the_run_stored(run, fairbench, method):
    if method in ESTIMATORS:
        pytest.importorskip("skops")
    status, shown, said = export(fairbench, run, method)
    assert status == 0, said
    assert "age, income, job" in shown
    truth, expected, rows = stored(run, method)
    model = sys.modules["fairbench"].load_model("model")
    made = model.predict(rows, [truth.group_names[code] for code in truth.group])
    assert np.array_equal(made.y_pred, expected.y_pred)
    assert np.array_equal(made.y_score, expected.y_score)
    if method.startswith("threshold"):
        with pytest.raises(DataError, match="give one for each row: female, male"):
            model.predict(rows)
    else:
        assert np.array_equal(model.predict(rows).y_score, expected.y_score)


@pytest.mark.long
def test_another_process_predicts_the_same_without_the_run(run, network, tmp_path):
    _, expected, rows = stored(run, "mlp")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    shutil.copytree(network, tmp_path / "model")
    code = (
        "import fairbench, pandas; model = fairbench.load_model('model'); "
        "print(model.predict(pandas.read_csv('rows.csv')).y_score.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected.y_score.tolist()


def test_the_files_hold_no_pickle_and_what_json_can_say(network):
    assert sorted(path.name for path in network.iterdir()) == [ABOUT, ARRAYS]
    about = json.loads((network / ABOUT).read_text())
    assert about["method"] == "mlp"
    assert about["groups"]["names"] == ["female", "male"]
    assert about["features"]["numbers"] == ["age", "income"]
    assert about["features"]["categories"] == {"job": ["clerk", "nurse", "tailor"]}
    assert about["provenance"]["versions"]


def test_rows_to_come_can_lack_numbers_and_have_new_categories(network):
    model = fairbench.load_model(network)
    row = pandas.DataFrame({"age": [None], "income": [30.0], "job": ["smith"]})
    assert 0 < model.predict(row).y_score[0] < 1
    with pytest.raises(DataError, match="no column 'job'; it needs age, income, job"):
        model.predict(row[["age", "income"]])
    with pytest.raises(DataError, match="a column of numbers holds something else"):
        model.predict(row.assign(income="much"))
    with pytest.raises(DataError, match="no group is called 'x'; there are female, male"):
        model.predict(row, ["x"])
    with pytest.raises(FairbenchError, match="features is 3, of type int; it must be a pandas table with"):
        model.predict(3)
    with pytest.raises(DataError, match="no group is called 3"):
        model.predict(row, 3)
    with pytest.raises(DataError, match="2 groups for 1 rows"):
        model.predict(row, ["male", "male"])


# ------------------------------------------------------------------------ which cell


def test_cells_are_found_and_candidates_are_listed(run, fairbench):
    status, _, said = fairbench("export-model", run.path, "nosuch/loans/0", "--out", "m")
    assert status == 2
    assert "no finished cell is 'nosuch/loans/0'" in said
    assert f"{record_of(run, 'constant').cell.key[:8]} constant/loans/0 by sex" in said
    status, _, said = fairbench("export-model", run.path, "mlp/loans/7", "--out", "m")
    assert status == 2
    assert said.count("\n") == 1


def test_several_cells_are_refused_with_their_keys(tmp_path, fairbench):
    run = ("run", "--methods", "constant,coin", "--datasets", "synthetic[rows=300]", "--repeats", "2", "--workers", "1")
    assert fairbench(*run, "--out", "r")[0] == 0
    status, _, said = fairbench("export-model", "r", "coin", "--out", "m")
    assert status == 2
    assert "2 finished cells are 'coin' in r" in said
    assert re.search(r"\w{8} coin/synthetic\[.*\]/1 by ", said)


def test_what_cannot_be_exported_says_why(run, fairbench, tmp_path):
    status, _, said = export(fairbench, run, "constant")
    assert status == 2
    assert "method constant cannot be exported: what it fits has no export()" in said
    assert not (tmp_path / "model").exists()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    status, _, said = export(fairbench, run, "mlp", "used")
    assert status == 2
    assert "used is not empty; name a new folder" in said


def test_a_cell_that_predicts_otherwise_today_is_refused(run, fairbench, monkeypatch, tmp_path):
    shutil.copytree(run.path, tmp_path / "r")
    registry = Session(Settings()).registry
    real = registry.get("methods", "mlp").train

    def otherwise(self, *arguments, **options):
        model, curves = real(self, *arguments, **options)
        with torch.no_grad():
            model[-1].bias += 1e-7
        return model, curves

    monkeypatch.setattr(registry.get("methods", "mlp"), "train", otherwise)
    status, _, said = fairbench("export-model", "r", "mlp/loans/0", "--out", "m")
    assert status == 2
    assert "the cell fitted again predicts" in said
    assert not (tmp_path / "m").exists()


def test_a_network_with_other_layers_says_so():
    model = predictor(nn.Sequential(nn.Linear(2, 1), nn.Dropout()))
    with pytest.raises(CannotExport, match="holds a Dropout"):
        model.export()


def test_layers_come_back_as_they_were():
    for model in (
        linear(3, seed=1),
        mlp(3, (4, 2), "tanh", seed=1),
        nn.Sequential(mlp(3, (4,), seed=1), nn.Linear(1, 1)),
    ):
        again = network_of(exported_network(model.double()))
        X = torch.rand(5, 3, dtype=torch.float64)
        assert torch.equal(again(X), model(X))


# ------------------------------------------------------------------------ damaged and hostile files


def changed(about, *path, to):
    for name in path[:-1]:
        about = about[name]
    if to is KeyError:
        del about[path[-1]]
    else:
        about[path[-1]] = to


CHANGES = {
    "no schema": (("schema",), KeyError),
    "another schema": (("schema",), "other"),
    "a later version": (("version",), 2),
    "no method": (("method",), None),
    "an unknown method": (("method",), "nosuch"),
    "a form of nobody": (("learned", "form"), "unknown"),
    "no layers": (("learned", "about", "layers"), []),
    "layers of another kind": (("learned", "about", "layers", 1), "eval"),
    "one layer more": (("learned", "about", "layers"), ["linear", "relu", "linear", "linear"]),
    "a file elsewhere": (("learned", "files"), {"../../secret": "0"}),
    "files of another kind": (("learned", "files"), 3),
    "no columns": (("features", "numbers"), []),
    "a scale of zero": (("features", "scale"), [0.0, 1.0]),
    "too few means": (("features", "mean"), [0.0]),
    "categories out of order": (("features", "categories"), {"job": ["tailor", "clerk", "nurse"]}),
    "categories that are numbers": (("features", "categories"), {"job": [1, 2, 3]}),
    "no group": (("groups", "names"), []),
    "a group twice": (("groups", "names"), ["male", "male"]),
    "a protected group of nobody": (("groups", "protected"), 2),
    "words for a truth value": (("groups", "as_feature"), "no"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_description_is_refused_in_one_sentence(network, tmp_path, case):
    shutil.copytree(network, tmp_path / "model")
    about = json.loads((tmp_path / "model" / ABOUT).read_text())
    changed(about, *CHANGES[case][0], to=CHANGES[case][1])
    (tmp_path / "model" / ABOUT).write_text(json.dumps(about))
    with pytest.raises(FairbenchError) as refused:
        fairbench.load_model(tmp_path / "model")
    assert "\n" not in str(refused.value)


TEXTS = {"nothing": b"", "half": b'{"schema": ', "NaN": b'{"a": NaN}', "huge": b'{"a": 1e999}', "a list": b"[]"}
TEXTS |= {"deep": b"[" * 100_000, "bytes": b"\xff\xfe\x00"}


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_none_is_refused(network, tmp_path, case):
    shutil.copytree(network, tmp_path / "model")
    (tmp_path / "model" / ABOUT).write_bytes(TEXTS[case])
    with pytest.raises(CannotExport, match="is no written model"):
        fairbench.load_model(tmp_path / "model")


def with_file(folder, name, content):
    """Put a file in the model's folder, with its digest in ``model.json``: what an attacker would do."""
    about = json.loads((folder / ABOUT).read_text())
    about["learned"]["files"] = {name: hashlib.sha256(content).hexdigest()}
    (folder / ABOUT).write_text(json.dumps(about))
    (folder / name).write_bytes(content)


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, (10**15).to_bytes(8, "little") + b"{}", pickle.dumps(Hostile())]
)
def test_hostile_arrays_are_refused(network, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(network, tmp_path / "model")
    with_file(tmp_path / "model", ARRAYS, content)
    with pytest.raises(CannotExport, match="holds no arrays"):
        read(tmp_path / "model")
    assert not Path("executed").exists()


def test_damage_and_missing_files_are_seen(network, tmp_path):
    shutil.copytree(network, tmp_path / "model")
    content = bytearray((network / ARRAYS).read_bytes())
    content[-1] ^= 1
    (tmp_path / "model" / ARRAYS).write_bytes(content)
    with pytest.raises(CannotExport, match="is damaged or was changed: its sha256 is"):
        fairbench.load_model(tmp_path / "model")
    (tmp_path / "model" / ARRAYS).unlink()
    with pytest.raises(CannotExport, match=r"safetensors cannot be read: No such file"):
        fairbench.load_model(tmp_path / "model")
    with pytest.raises(CannotExport, match=r"model.json cannot be read: No such file"):
        fairbench.load_model(tmp_path)


def test_numbers_that_are_not_finite_are_refused(network, tmp_path):
    from safetensors.numpy import load, save

    shutil.copytree(network, tmp_path / "model")
    arrays = load((network / ARRAYS).read_bytes())
    arrays["0.bias"] = np.full_like(arrays["0.bias"], np.nan)
    with_file(tmp_path / "model", ARRAYS, save(arrays))
    with pytest.raises(CannotExport, match="not finite"):
        fairbench.load_model(tmp_path / "model")


def test_an_estimator_of_other_parts_is_refused_and_not_executed(network, tmp_path, monkeypatch):
    skops = pytest.importorskip("skops.io")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(network, tmp_path / "model")
    from sklearn.tree import DecisionTreeClassifier

    for content in (skops.dumps(DecisionTreeClassifier().fit([[0], [1]], [0, 1])), pickle.dumps(Hostile()), b""):
        with_file(tmp_path / "model", SKOPS, content)
        with pytest.raises(CannotExport, match=r"not among what a written model may hold|holds no estimator"):
            read(tmp_path / "model")
    assert not Path("executed").exists()


def test_a_tree_that_leads_in_circles_is_refused(network, tmp_path):
    skops = pytest.importorskip("skops.io")
    from sklearn.ensemble import HistGradientBoostingClassifier

    X = np.arange(100.0).reshape(50, 2)
    boosted = HistGradientBoostingClassifier(max_iter=1).fit(X, X[:, 0] > 50)
    boosted._predictors[0][0].nodes["left"][0] = 0
    shutil.copytree(network, tmp_path / "model")
    with_file(tmp_path / "model", SKOPS, skops.dumps(boosted))
    with pytest.raises(CannotExport, match="child or feature does not exist"):
        read(tmp_path / "model")


def test_without_the_extra_the_error_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(CannotExport, match=r"fairbench-harness\[models\]"):
        fairbench.load_model(network)


# ------------------------------------------------------------------------ encoding


def test_an_encoding_survives_json_and_encodes_as_splits_do():
    table = loans().drop(columns="paid")
    rows = np.arange(0, 400, 2)
    for scale in ("standard", "none"):
        X, names = encode(table, rows, scale)
        again = Encoding.of(json.loads(json.dumps(Encoding.learn(table, rows, scale, complete=True).plain())))
        assert again.names == names
        assert np.array_equal(again.apply(pandas.read_csv(io.StringIO(table.to_csv(index=False)))), X)


def test_the_example_of_the_document_runs(run, tmp_path, monkeypatch, fairbench, capsys):
    text = DOCUMENT.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    shutil.copytree(run.path, tmp_path / "runs" / "loans")
    loans().to_csv(tmp_path / "new.csv", index=False)
    (command,) = re.findall(r"^fairbench (export-model .*)$", text, flags=re.MULTILINE)
    status, shown, said = fairbench(*command.split())
    assert status == 0, said
    assert "it predicts from raw columns" in shown
    (block,) = re.findall(r"^```python\n(import fairbench.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    exec(block, {})  # noqa: S102 - our own document
    assert re.search(r"^\[[01 .]+\]?", capsys.readouterr().out, flags=re.MULTILINE)

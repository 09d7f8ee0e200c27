"""Loaded datasets in files that workers map: what comes back is what went in, or the dataset is loaded as ever."""

from __future__ import annotations

import datetime
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairbench.cells import Cell, Choice, Preparation
from fairbench.data.digest import dataset_digest
from fairbench.data.files import DataSource
from fairbench.data.preparation import split_dataset
from fairbench.data.rows import Dataset
from fairbench.data.shared import DESCRIPTION, read_dataset, write_dataset
from fairbench.errors import NotApplicable, StoreError
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import DATASETS, CellRunner
from fairbench.running.sharing import SCRATCH, scratch, share_datasets

N = 40
SEX = pd.DataFrame({"sex": ["f", "m"] * (N // 2)})
Y = np.arange(N) // 2 % 2


def table(**more) -> Dataset:
    """Return a dataset with a column of every kind that a dataset can have."""
    rows = np.arange(N)
    X = pd.DataFrame(
        {
            "whole": rows,
            "small": (rows % 5).astype(np.int8),
            "real": np.where(rows % 7 == 0, np.nan, rows / 3),
            "single": (rows / 7).astype(np.float32),
            "truth": rows % 3 == 0,
            "text": pd.Series(["a", "ä", None, "a b"] * (N // 4), dtype=object),
            "string": pd.Series(["x", "y"] * (N // 2), dtype="string"),
            "category": pd.Categorical(
                ["low", "high", None, "low"] * (N // 4), ["low", "high", "unseen"], ordered=True
            ),
            "number category": pd.Categorical(rows % 4),
        }
    )
    keys = pd.DataFrame({"state": ["NY", "CA"] * (N // 2), "year": 2000 + rows % 3})
    given = {"missing_values": True, "keys": keys, "sensitive_columns": {"sex": ("truth",)}, "notes": ("A note.",)}
    return Dataset("made", X, Y, SEX, {"sex": "f"}, 0, **{**given, **more})


def images() -> Dataset:
    X = np.random.default_rng(0).integers(0, 256, (N, 12), dtype=np.uint8)

    def partition(seed):
        return np.split(np.random.default_rng(seed).permutation(N), [24, 32])

    return Dataset("pictures", X, Y, SEX, {"sex": "f"}, image_shape=(3, 2, 2), partition=partition, overlap="pool")


@pytest.mark.parametrize("dataset", [table(), table(keys=None, notes=()), images()], ids=["table", "plain", "images"])
def test_a_dataset_comes_back_as_it_went_in_and_cannot_be_written_to(tmp_path, dataset):
    write_dataset(dataset, tmp_path / "d", seeds=[7], remarks=("It was loud.",))
    again, remarks = read_dataset(tmp_path / "d")
    assert remarks == ("It was loud.",)
    assert dataset_digest(again) == dataset_digest(dataset)
    assert (again.notes, again.overlap, again.favorable_label) == (
        dataset.notes,
        dataset.overlap,
        dataset.favorable_label,
    )
    one, two = (split_dataset(d, group="sex", seed=7, preparation=Preparation()) for d in (dataset, again))
    for part in ("train", "validation", "test"):
        ours, theirs = getattr(one, part), getattr(two, part)
        assert ours.schema == theirs.schema
        assert ours.X.tobytes() == theirs.X.tobytes()
        assert (ours.y.tobytes(), ours.group.tobytes()) == (theirs.y.tobytes(), theirs.group.tobytes())
        assert {name: key.tolist() for name, key in ours.keys.items()} == {
            name: key.tolist() for name, key in theirs.keys.items()
        }
    numbers = again.X if isinstance(again.X, np.ndarray) else again.X["real"].to_numpy()
    assert isinstance(base(numbers), np.memmap) or "mmap" in str(type(base(numbers)))
    with pytest.raises(ValueError, match="read-only"):
        again.y[0] = 1


def base(array):
    """Return what an array is a view of, in the end."""
    while isinstance(getattr(array, "base", None), np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array if isinstance(array, np.memmap) else getattr(array, "base", array)


def test_nothing_in_the_files_is_pickled(tmp_path):
    write_dataset(table(), tmp_path / "d", seeds=[])
    files = list((tmp_path / "d").iterdir())
    assert {path.suffix for path in files} == {".npy", ".json"}
    for path in files:
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
    json.loads((tmp_path / "d" / DESCRIPTION).read_text())


@pytest.mark.parametrize(
    "change",
    [
        {"keys": pd.DataFrame({"day": [datetime.date(2020, 1, 1)] * N})},
        {"partition": lambda seed: 1 / 0},
        {"partition": lambda seed: [np.ones(N, bool)] * 3},
    ],
    ids=["dates", "failing partition", "odd partition"],
)
def test_what_files_cannot_hold_is_refused_and_leaves_nothing(tmp_path, change):
    with pytest.raises(NotApplicable):
        write_dataset(table(**change), tmp_path / "d", seeds=[])
    assert not (tmp_path / "d").exists()


@pytest.fixture
def runner():
    """Return a runner whose process has not loaded the dataset yet, as in a new worker."""
    from fairbench.running.cell import _workbench

    _workbench.cache_clear()
    yield CellRunner(DataSource(offline=True))
    _workbench.cache_clear()


CELL = Cell(Choice("synthetic", {"rows": 400}), Choice("constant"), "sex", 0, metrics=("accuracy",))


def shared(runner, tmp_path, monkeypatch):
    """Share the dataset of ``CELL``; return a runner for workers that counts how often it is loaded."""
    from fairbench.running.cell import _workbench

    choice = CELL.dataset
    workbench = runner.workbench
    workbench.dataset(choice)
    digest = workbench.digest(choice)
    folder = tmp_path / "private"
    folder.mkdir()
    assert share_datasets([CELL, CELL], workbench, {str(choice)}, folder) == []
    _workbench.cache_clear()
    kind = type(load_plugins()[0].dataset(choice))
    loads, load = [], kind.load
    monkeypatch.setattr(kind, "load", lambda self, files: loads.append(1) or load(self, files))
    return replace(runner, scratch=folder, data={str(choice): digest}), loads, folder / DATASETS / digest


def use(runner):
    workbench = runner.workbench
    workbench.data, workbench.scratch = runner.data, runner.scratch
    return workbench.dataset(CELL.dataset)


def test_a_worker_maps_a_shared_dataset_and_does_not_load_it(runner, tmp_path, monkeypatch):
    worker, loads, _ = shared(runner, tmp_path, monkeypatch)
    dataset = use(worker)
    assert loads == []
    assert dataset_digest(dataset) == worker.data[str(CELL.dataset)]


@pytest.mark.parametrize("harm", ["gone", "another", "truncated", "flipped", "nonsense"])
def test_a_worker_loads_a_dataset_whose_files_it_cannot_use(runner, tmp_path, monkeypatch, harm):
    worker, loads, place = shared(runner, tmp_path, monkeypatch)
    array = next(path for path in sorted(place.iterdir()) if path.suffix == ".npy")
    if harm == "gone":  # as on another host
        worker = replace(worker, scratch=tmp_path / "nowhere")
    elif harm == "another":
        said = json.loads((place / DESCRIPTION).read_text())
        (place / DESCRIPTION).write_text(json.dumps({**said, "favorable_label": 1 - said["favorable_label"]}))
    elif harm == "truncated":
        array.write_bytes(array.read_bytes()[:-100])
    elif harm == "flipped":
        content = bytearray(array.read_bytes())
        content[-1] ^= 1
        array.write_bytes(content)
    else:
        (place / DESCRIPTION).write_text("[]")
    dataset = use(worker)
    assert loads == [1]
    assert dataset_digest(dataset) == worker.data[str(CELL.dataset)]


def test_the_private_folder_is_private_and_is_removed_whatever_happens(tmp_path):
    def interrupted():
        with scratch(tmp_path) as folder:
            (folder / "file").touch()
            seen.append(stat.S_IMODE(folder.stat().st_mode))
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [0o700]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    (tmp_path / SCRATCH / DATASETS).mkdir(parents=True)
    (tmp_path / SCRATCH / DATASETS / "old").touch()
    with scratch(tmp_path) as folder:
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_a_link_in_place_of_the_private_folder_is_refused_and_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (tmp_path / SCRATCH).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="remove it, or choose another --out"), scratch(tmp_path):
        pass
    assert (elsewhere / "mine").exists()


def test_a_full_disk_is_said_and_leaves_no_half_of_a_dataset(runner, tmp_path, monkeypatch):
    runner.workbench.dataset(CELL.dataset)

    def full(*what, **how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    said = share_datasets([CELL], runner.workbench, {str(CELL.dataset)}, tmp_path)
    assert said == [f"{CELL.dataset} cannot be shared among workers (No space left on device); each of them loads it"]
    assert list((tmp_path / DATASETS).iterdir()) == []


PLUGIN = """
import os
from dataclasses import dataclass
import numpy as np
import pandas as pd
from fairbench.api import Dataset, hookimpl

@dataclass(frozen=True)
class Noted:
    name = "noted"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        open(f"loaded-{os.getpid()}", "w").close()
        rows = np.arange(200)
        X = pd.DataFrame({"x": rows, "text": pd.Series(["a", "b"] * 100)})
        return Dataset("noted", X, rows // 3 % 2, pd.DataFrame({"sex": ["f", "m"] * 100}), {"sex": "f"})

@hookimpl
def fairbench_datasets():
    return [Noted]
"""


@pytest.mark.long
@pytest.mark.parametrize("executor", ["processes[workers=2]", "serial"])
def test_a_run_loads_each_dataset_once_and_leaves_no_files_of_it(fairbench, tmp_path, monkeypatch, executor):
    parts = ("baselines", "datasets", "executors", "metrics", "reports", "scenarios")
    monkeypatch.setenv("FAIRBENCH_PLUGINS", ",".join(f"fairbench_{part}" for part in parts))
    Path("noted.py").write_text(PLUGIN)
    chosen = ("--methods", "constant,logistic", "--datasets", "noted", "--repeats", "2")
    status, _, err = fairbench("run", *chosen, "--plugin", "noted.py", "--executor", executor, "--out", "r")
    assert status == 0, err
    assert [path.name for path in tmp_path.glob("loaded-*")] == [f"loaded-{os.getpid()}"]
    assert not (tmp_path / "r" / SCRATCH).exists()

"""Cells of many steps: what is finished is kept, and a killed run ends with the numbers of an undisturbed one."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from added_components import added

from fairbench.cells import Cell, Choice
from fairbench.data.files import DataSource
from fairbench.data.rows import Predictions
from fairbench.errors import NotApplicable
from fairbench.plugins.components import Outcome
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILED, SKIPPED, Parts, Record
from fairbench.running.cell import CellRunner, run_cell
from fairbench.running.checkpoints import Checkpoint
from fairbench.running.grid import gather, run_cells
from fairbench.running.store import FILE_NAME, Measured, Store, Truth


@dataclass(frozen=True)
class Counting:
    """A scenario of four steps that counts; step ``stop`` goes wrong the first time it is reached."""

    name = "counting"
    stop: int = 9
    skip: int = 9
    saves: bool = False  # let all steps but the last only save their state

    def run(self, split, method, seed):
        CALLS.append("run")
        yield from self._steps(split, 0, np.array([1.0]))

    def resume(self, split, method, seed, step, state):
        CALLS.append(f"resume after {step}")
        yield from self._steps(split, step + 1, state["product"])

    def _steps(self, split, first, product):
        for step in range(first, 4):
            if step == self.skip:
                raise NotApplicable("no more")
            if step == self.stop and not CALLS.count("stopped"):
                CALLS.append("stopped")
                raise RuntimeError("out of luck")
            product = product * 1.1
            score = np.full(len(split.test), product[0] % 1)
            made = {"a": Predictions.from_score(score), "b": Predictions.from_decision(score, seed=step)}
            state = None if step == 3 else {"product": product}
            values = {"product": float(product[0]), "hole": float("nan")}
            if self.saves and state is not None:
                yield Outcome(split.test, {}, "", step, state=state)
            else:
                at = 0 if self.saves else step
                yield Outcome(split.test, made, "a", at, {f"curve {step}": [1.0, float("inf")]}, values, state)


CALLS: list[str] = []


@pytest.fixture
def bench(tmp_path):
    """Return a runner with checkpoints and its registry, to which the scenario is added."""
    CALLS.clear()
    with added(scenarios=[Counting]):
        yield CellRunner(DataSource(None, offline=True), partial=tmp_path / "partial")


def cell_of(**params):
    return Cell(
        Choice("synthetic", {"rows": 200}),
        Choice("constant"),
        "group",
        0,
        scenario=Choice("counting", {"stop": 9, "skip": 9, "saves": False, **params}),
        metrics=("accuracy", "n"),
    )


def measured(result):
    """Return all that must be the same whether a run was disturbed or not."""
    made = {
        key: (truth.key, p.y_pred.tobytes(), p.decision.tobytes(), p.y_score is None or p.y_score.tobytes())
        for key, (truth, p) in result.predictions.items()
    }
    return result.record.values, result.record.diagnostics, result.record.chosen, made


def test_a_cell_that_stops_goes_on_after_its_last_finished_step(bench):
    undisturbed = run_cell(cell_of(), bench.workbench)
    cell = cell_of(stop=2)
    checkpoint = bench.checkpoint(cell)
    first = run_cell(cell, bench.workbench, checkpoint)
    assert first.record.status == FAILED
    spent = checkpoint.load(first.record.versions).seconds
    CALLS.append("again")
    second = run_cell(cell, bench.workbench, checkpoint)
    assert CALLS[CALLS.index("again") :] == ["again", "resume after 1"]
    assert second.record.status == DONE
    assert measured(second) == measured(undisturbed)
    assert second.record.seconds > spent > 0  # the time of both sessions


def test_a_step_without_a_state_leaves_no_checkpoint_of_its_own(bench):
    checkpoint = bench.checkpoint(cell_of())
    versions = run_cell(cell_of(), bench.workbench, checkpoint).record.versions
    assert checkpoint.load(versions).step == 2  # the last step's state is None


def test_steps_that_only_save_their_state_are_gone_on_from_and_not_recorded(bench):
    undisturbed = run_cell(cell_of(saves=True), bench.workbench)
    assert {value.step for value in undisturbed.record.values} == {0}
    cell = cell_of(stop=2, saves=True)
    checkpoint = bench.checkpoint(cell)
    assert run_cell(cell, bench.workbench, checkpoint).record.status == FAILED
    grown = replace(cell, metrics=("accuracy", "n", "selection_rate"))  # no step was measured that would lack it
    CALLS.append("again")
    second = run_cell(grown, bench.workbench, bench.checkpoint(grown))
    assert CALLS[CALLS.index("again") :] == ["again", "resume after 1"]
    assert second.record.diagnostics == undisturbed.record.diagnostics
    assert set(undisturbed.record.values) < set(second.record.values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no archive"),
        lambda path: path.write_bytes(path.read_bytes()[:-200]),
        lambda path: np.savez(path, about=np.array("{}")),
    ],
)
def test_a_damaged_checkpoint_is_as_good_as_none(bench, damage):
    cell = cell_of(stop=2)
    checkpoint = bench.checkpoint(cell)
    run_cell(cell, bench.workbench, checkpoint)
    damage(checkpoint.path)
    assert run_cell(cell, bench.workbench, checkpoint).record.status == DONE
    assert CALLS == ["run", "stopped", "run"]


def saved(bench):
    """Return a checkpoint with something of everything, the versions it is for, and what it holds."""
    cell = cell_of(stop=2)
    checkpoint = bench.checkpoint(cell)
    versions = run_cell(cell, bench.workbench, checkpoint).record.versions
    progress = checkpoint.load(versions)
    record = replace(
        progress.measured.record, parts=Parts(120, 40, 40, "unknown"), alike=((0, "a"),), remarks=("a remark",)
    )
    checkpoint.save(progress._replace(measured=Measured(record, progress.measured.predictions)))
    return checkpoint, versions


def held(progress):
    """Return all that a checkpoint holds."""
    truths = [truth.about for truth, _ in progress.measured.predictions.values()]
    state = {name: array.tobytes() for name, array in progress.state.items()}
    return progress.measured.record, measured(progress.measured), truths, state, progress[1], progress[3:]


def test_a_checkpoint_keeps_all_that_the_record_will_need(bench):
    checkpoint, versions = saved(bench)
    back = checkpoint.load(versions)
    assert back.measured.record.parts == Parts(120, 40, 40, "unknown")
    assert back.measured.record.alike == ((0, "a"),)
    assert back.measured.record.remarks == ("a remark",)
    samples = bench.workbench.split(cell_of()).test
    for truth, _ in back.measured.predictions.values():
        assert truth.key == Truth.of(samples).key
        assert truth.rows.tolist() == samples.rows.tolist()


def test_a_checkpoint_is_what_was_saved_or_as_good_as_none(bench):
    checkpoint, versions = saved(bench)
    sound, whole = checkpoint.path.read_bytes(), held(checkpoint.load(versions))
    generator = random.Random(0)
    for trial in range(1000):
        content = bytearray(sound)
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        checkpoint.path.write_bytes(content if trial % 10 else content[: generator.randrange(len(content))])
        assert checkpoint.load(versions) is None
    checkpoint.path.write_bytes(sound)
    assert held(checkpoint.load(versions)) == whole


@pytest.mark.parametrize("array", ["about", "state/product", "y_pred/0", "decision/1"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_checkpoint_made_by_hand_is_as_good_as_none(bench, array, packed):
    checkpoint, versions = saved(bench)
    with checkpoint.path.open("rb") as stream:
        stream.seek(32)
        arrays = dict(np.load(stream))
    if not packed:
        arrays[array] = np.array("[" * 10**5) if array == "about" else arrays[array][:3]
    made = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(made, **arrays)
    content = made.getvalue()
    checkpoint.path.write_bytes(hashlib.blake2b(content, digest_size=32).digest() + content)
    loaded = checkpoint.load(versions)
    assert loaded is None or array == "state/product"  # its form is the scenario's affair
    assert not (packed and loaded)


def test_a_checkpoint_of_other_plugin_versions_is_not_used(bench):
    cell = cell_of(stop=2)
    checkpoint = bench.checkpoint(cell)
    versions = run_cell(cell, bench.workbench, checkpoint).record.versions
    assert checkpoint.load(versions).step == 1
    assert checkpoint.load({**versions, "acme-fair": "2.1"}) is None
    assert Checkpoint(checkpoint.path, cell_of()).load(versions) is None  # nor another cell's


def test_a_checkpoint_that_cannot_be_written_is_a_warning_and_no_more(bench, tmp_path):
    (tmp_path / "file").write_text("")
    checkpoint = Checkpoint(tmp_path / "file" / "cell.npz", cell_of())
    with pytest.warns(
        UserWarning, match=r"cell.npz cannot be written .*; if the run is killed, this cell starts again"
    ):
        assert run_cell(cell_of(), bench.workbench, checkpoint).record.status == DONE


@pytest.mark.parametrize(
    ("params", "status", "kept"), [({}, DONE, False), ({"skip": 2}, SKIPPED, False), ({"stop": 2}, FAILED, True)]
)
def test_checkpoints_go_with_the_record_unless_the_cell_will_be_tried_again(bench, tmp_path, params, status, kept):
    cell = cell_of(**params)
    registry, _ = load_plugins()
    with Store(tmp_path / "s.sqlite", create=True) as store:
        serial = registry.build("executors", Choice("serial"))
        (record,) = run_cells([cell], gather([cell], bench), bench, serial, store)
    assert record.status == status
    assert bench.checkpoint(cell).path.exists() == kept
    assert bench.partial.exists() == kept


def test_a_checkpoint_that_outlived_its_cell_is_removed(bench, tmp_path):
    cell = cell_of()
    run_cell(cell, bench.workbench, bench.checkpoint(cell))
    assert bench.checkpoint(cell).path.exists()
    registry, _ = load_plugins()
    with Store(tmp_path / "s.sqlite", create=True) as store:
        store.add(run_cell(cell, bench.workbench))
        serial = registry.build("executors", Choice("serial"))
        assert list(run_cells([cell], gather([cell], bench), bench, serial, store)) == []
    assert not bench.partial.exists()


def test_a_scenario_that_cannot_resume_runs_as_ever(bench):
    cell = replace(cell_of(), scenario=Choice("holdout"))
    result = run_cell(cell, bench.workbench, bench.checkpoint(cell))
    assert result.record.status == DONE
    assert not bench.checkpoint(cell).path.exists()
    assert isinstance(result.record, Record)


LOOP = (
    "seq_gen_seq_class[generations=6,reparation=classifier,annotator=logistic,"
    "generator=gaussian_mixture[components=3],population=200]"
)
COMMAND = [
    *("run", "--methods", "mlp[epochs=5]", "--datasets", "gauss_loop[train=600,test=600]", "--scenarios", LOOP),
    *("--repeats", "1", "--workers", "1", "--out", "r"),
]


def stored(path):
    """Return the cells of the run, each with its values, curves and predictions."""
    with Store(path / "r" / FILE_NAME) as store:
        return [Measured(record, store.predictions(record.cell.key)) for record in store.records()]


KILLED = """
import os, signal
from fairbench.cli.main import main
from fairbench.running.checkpoints import Checkpoint

def save(self, progress, kept=Checkpoint.save):
    if progress.step == 3:  # whose work is lost
        os.kill(os.getpid(), signal.SIGKILL)
    kept(self, progress)

Checkpoint.save = save
main()
"""


@pytest.mark.long
def test_a_killed_lineage_ends_with_the_numbers_of_an_undisturbed_one(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, *COMMAND], cwd=tmp_path, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert len(list(tmp_path.glob("r/partial/*.npz"))) == 1
    assert not stored(tmp_path)  # its one cell is not finished
    command = [sys.executable, "-m", "fairbench", *COMMAND]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    (disturbed,) = stored(tmp_path)
    whole = run_cell(disturbed.record.cell, CellRunner(DataSource(None, offline=True)).workbench)
    assert sorted(measured(disturbed)[0]) == sorted(measured(whole)[0])  # the store has its own order
    assert measured(disturbed)[1:] == measured(whole)[1:]
    assert not (tmp_path / "r/partial").exists()

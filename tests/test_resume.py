"""What stays of a run's earlier sessions when versions, code, data or the plan have changed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fairbench.cells import Cell, Choice
from fairbench.errors import DataError, SuiteError
from fairbench.plugins.registry import BUILT_IN, LOCAL
from fairbench.records import DONE, FAILED
from fairbench.running.grid import gather
from fairbench.running.resume import Comparison, Plan, compare
from fairbench.running.store import Outline
from fairbench.version import __version__

HERE = Path("r")
CELLS = [
    Cell(Choice("people"), Choice(method), "sex", repeat, metrics=("accuracy",))
    for method in ("acme", "mine")
    for repeat in (0, 1)
]
OURS = {"distribution": BUILT_IN, "version": __version__, "sha256": "c0", "files": {"fairbench/running/cell.py": "c0"}}
ACME = {"distribution": "acme-fair", "version": "1.0", "sha256": "a1", "files": {"acme/core.py": "a1"}}
MINE = {"distribution": LOCAL, "version": "m1" * 6, "sha256": "m1" * 32, "files": {"mine.py": "m1"}}
COMPONENTS = {
    "fairbench": "fairbench",
    "dataset people": "fairbench",
    "scenario holdout": "fairbench",
    "metric accuracy": "fairbench",
    "method acme": "acme",
    "method mine": "/home/me/mine.py",
}
SOURCES = {"fairbench": OURS, "acme": ACME, "/home/me/mine.py": MINE}
VERSIONS = {
    "acme": {BUILT_IN: __version__, "acme-fair": "1.0"},
    "mine": {BUILT_IN: __version__, "method mine": "m1" * 6},
}
FINISHED = {cell.key: Outline(DONE, ("accuracy",), VERSIONS[cell.method.name], cell, 0.1, None) for cell in CELLS}
RUN = {
    "suite": {"name": "acme,mine"},
    "components": COMPONENTS,
    "sources": SOURCES,
    "accepted": [],
    "datasets": {"people": "d1"},
    "cells": [cell.key for cell in CELLS],
    "sessions": [{"command": ["run", "--methods", "acme,mine [1]"]}],
}
PLAN = Plan({"name": "acme,mine"}, CELLS, COMPONENTS, SOURCES)
MINE_NOW = {**MINE, "version": "m2" * 6, "sha256": "m2" * 32, "files": {"mine.py": "m2", "new.py": "n"}}


def kept(plan=PLAN, run=RUN, outlines=FINISHED, digests=None):
    return compare(plan, run, outlines, digests or {"people": "d1"}, HERE, "2026-01-01T00:00:00")


def now(**sources):
    """Return the plan with other code: ``acme``, ``mine`` or ``fairbench``."""
    named = {"/home/me/mine.py" if name == "mine" else name: source for name, source in sources.items()}
    return replace(PLAN, sources={**SOURCES, **named})


def keys(method):
    return {cell.key for cell in CELLS if cell.method.name == method}


def test_the_same_code_and_data_keep_all_that_is_done():
    assert kept().keys == set(FINISHED)
    assert kept() == replace(kept(), said=(), accepted=(), spoiled=frozenset())
    first = CELLS[0].key
    failed = {**FINISHED, first: replace_status(FINISHED[first])}
    assert kept(outlines=failed).keys == set(FINISHED) - {first}


def replace_status(outline):
    return outline._replace(status=FAILED)


def test_a_new_directory_keeps_nothing():
    assert compare(PLAN, {}, {}, {}, HERE).keys == frozenset()


def test_cells_of_another_version_are_run_again_and_it_is_said_by_name():
    found = kept(now(acme={**ACME, "version": "2.0", "sha256": "a2"}))
    assert found.keys == keys("mine")
    assert found.said == ("acme-fair 1.0 -> 2.0: 2 finished cells are run again",)
    half = {
        **FINISHED,
        CELLS[0].key: Outline(DONE, ("accuracy",), {BUILT_IN: __version__, "acme-fair": "2.0"}, CELLS[0], 0.1, None),
    }
    found = kept(now(acme={**ACME, "version": "2.0", "sha256": "a2"}), outlines=half)
    assert found.keys == keys("mine") | {CELLS[0].key}
    assert found.said == ("acme-fair 1.0 -> 2.0: 1 finished cell is run again",)


def test_another_version_of_fairbench_runs_everything_again_and_says_so_once():
    found = kept(now(fairbench={**OURS, "version": "9.9", "sha256": "c9"}))
    assert (found.keys, found.said) == (
        frozenset(),
        (f"fairbench-harness {__version__} -> 9.9: 4 finished cells are run again",),
    )


def test_other_code_of_the_same_version_is_refused_with_the_files():
    plan = now(acme={**ACME, "sha256": "a2", "files": {"acme/core.py": "a2"}})
    with pytest.raises(SuiteError) as caught:
        kept(plan)
    assert str(caught.value) == (
        "the code of method acme has changed since 2 finished cells of r ran: acme/core.py changed "
        "(sha256 a2…, then a1…); use a new --out, or --accept-changes, which keeps the cells and says so in run.json "
        "and under the tables"
    )
    with pytest.raises(SuiteError, match="the code of fairbench and 3 more has changed since 4 finished cells"):
        kept(now(fairbench={**OURS, "sha256": "c2"}))


def test_accepted_code_keeps_the_cells_and_is_recorded():
    plan = replace(now(acme={**ACME, "sha256": "a2", "files": {"acme/core.py": "a2"}}), accept=True)
    found = kept(plan)
    assert found.keys == set(FINISHED)
    (change,) = found.accepted
    assert change == {
        "when": "2026-01-01T00:00:00",
        "source": "acme",
        "files": "acme/core.py changed",
        "before": "a1",
        "after": "a2",
        "cells": 2,
    }


def test_changed_code_that_no_finished_cell_rests_on_changes_nothing():
    outlines = {key: FINISHED[key] for key in keys("mine")}
    found = kept(now(acme={**ACME, "sha256": "a2"}), outlines=outlines)
    assert found.keys == keys("mine")
    assert found.spoiled == keys("acme")


def test_cells_of_a_local_file_that_changed_are_run_again_or_accepted():
    found = kept(now(mine=MINE_NOW))
    assert found.keys == keys("acme")
    words = "method mine: mine.py changed, new.py is new (--accept-changes would keep its cells)"
    assert found.said == (f"{words}: 2 finished cells are run again",)
    found = kept(replace(now(mine=MINE_NOW), accept=True))
    assert found.keys == set(FINISHED)
    (change,) = found.accepted
    assert (change["before"], change["after"], change["cells"]) == ("m1" * 6, "m2" * 32, 2)
    later = {**RUN, "accepted": [change], "sources": now(mine=MINE_NOW).sources}
    assert kept(now(mine=MINE_NOW), later).keys == set(FINISHED)
    third = {**MINE_NOW, "version": "m3" * 6, "sha256": "m3" * 32}
    assert kept(now(mine=third), later).keys == keys("acme")


def test_another_version_is_not_accepted():
    found = kept(replace(now(acme={**ACME, "version": "2.0"}), accept=True))
    assert found.keys == keys("mine")
    assert found.accepted == ()


def test_a_component_that_comes_from_elsewhere_is_run_again():
    installed = replace(PLAN, components={**COMPONENTS, "method mine": "acme"})
    found = kept(installed, outlines={key: FINISHED[key] for key in keys("mine")})
    assert found.keys == frozenset()
    assert found.said == (
        "method mine now comes from another distribution (acme-fair 1.0): 2 finished cells are run again",
    )
    both = {**VERSIONS["mine"], "acme-fair": "1.0"}  # its metric, say, was acme's
    assert Comparison(installed.origins).others(CELLS[2], both)
    local = replace(PLAN, components={**COMPONENTS, "method acme": "/home/me/mine.py"})
    found = kept(local)
    assert found.keys == keys("mine")
    assert "method acme now comes from another distribution (local file " in found.said[0]


def test_other_data_of_finished_cells_are_refused():
    with pytest.raises(DataError, match=r"people has changed since 4 finished cells of r ran: digest d2…, then d1…"):
        kept(digests={"people": "d2"})
    with pytest.raises(DataError):
        kept(replace(PLAN, accept=True), digests={"people": "d2"})


def test_other_data_that_no_finished_cell_rests_on_spoil_what_is_half_done():
    assert kept(outlines={}, digests={"people": "d2"}).spoiled == set(FINISHED)


def test_a_plan_may_have_more_cells_and_metrics_but_not_fewer_cells():
    more = [replace(cell, metrics=("accuracy", "gap")) for cell in [*CELLS, replace(CELLS[0], repeat=2)]]
    components = {**COMPONENTS, "metric gap": "acme"}
    found = kept(replace(PLAN, cells=more, components=components))
    assert found.keys == set(FINISHED)  # the new metric's plugin had no part in them
    with pytest.raises(SuiteError) as caught:
        kept(replace(PLAN, cells=CELLS[:1]))
    assert "r holds a run of another suite (acme,mine, 4 cells), and 3 of its cells are not among the 1" in str(
        caught.value
    )
    assert "(its last command was: fairbench run --methods 'acme,mine [1]'), or choose another --out" in str(
        caught.value
    )


def test_cells_beyond_the_plan_stay_where_the_suite_grows_by_parts():
    part = replace(PLAN, cells=CELLS[:1], grows=True)
    assert kept(part).keys == {CELLS[0].key}
    with pytest.raises(SuiteError, match="holds a run of another suite"):
        kept(replace(part, suite={"name": "another"}))
    with pytest.raises(DataError):
        kept(part, outlines={CELLS[1].key: FINISHED[CELLS[1].key]}, digests={"people": "d2"})
    with pytest.raises(SuiteError, match="the code of method acme"):
        kept(
            replace(part, sources={**SOURCES, "acme": {**ACME, "sha256": "a2"}}),
            outlines={CELLS[1].key: FINISHED[CELLS[1].key]},
        )


def test_a_run_of_an_older_fairbench_can_be_read_but_not_continued():
    old = {key: value for key, value in RUN.items() if key != "components"}
    with pytest.raises(SuiteError, match="r was started by an older fairbench"):
        kept(run=old)


METHOD = '''"""A method that selects a share."""

from dataclasses import dataclass

import numpy as np

from fairbench.api import Predictions, hookimpl


@dataclass(frozen=True)
class Share:
    """Select a share."""

    name = "share"

    def fit(self, train, validation, *, seed):
        return lambda inputs: Predictions((np.arange(len(inputs)) % 100 < 20).astype(int))


@hookimpl
def fairbench_methods():
    return [Share]
'''
LOCAL_RUN = ["--datasets", "synthetic[rows=300]", "--metrics", "selection_rate", "--repeats", "2", "--workers", "1"]
LOCAL_RUN = ["run", "--methods", "share,constant", *LOCAL_RUN, "--plugin", "share.py", "--out", "r"]


def rates(fairbench):
    rows = map(json.loads, fairbench("export", "r", "--format", "jsonl")[1].splitlines())
    return [round(row["value"], 2) for row in rows if (row["method"], row["group"]) == ("share", "")]


def afresh(folder, *more):
    """Run in a process of its own, as people do: this one has loaded the plugin for good."""
    command = [sys.executable, "-m", "fairbench", *LOCAL_RUN, *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.long
def test_an_edited_plugin_file_is_run_again_or_accepted_and_the_foot_says_so(fairbench, tmp_path):
    plugin = tmp_path / "share.py"
    plugin.write_text(METHOD)
    assert afresh(tmp_path)[0] == 0
    assert rates(fairbench) == [0.44, 0.44]
    plugin.write_text(METHOD.replace("< 20", "< 80"))
    status, _, err = afresh(tmp_path)
    assert status == 0
    assert (
        "method share: share.py changed (--accept-changes would keep its cells): 2 finished cells are run again" in err
    )
    assert "2 of 4 cells were finished before" in err
    assert rates(fairbench) == [1.0, 1.0]
    plugin.write_text(METHOD.replace("< 20", "< 80").replace("    name", "    # a comment\n    name"))
    status, out, err = afresh(tmp_path, "--accept-changes")
    assert "4 of 4 cells were finished before" in err
    assert "2 cells made by different code from the rest: share.py changed" in " ".join(out.split())
    (change,) = json.loads((tmp_path / "r/run.json").read_text())["accepted"]
    assert change["files"] == "share.py changed"
    assert rates(fairbench) == [1.0, 1.0]
    status, out, err = afresh(tmp_path)
    assert "4 of 4 cells were finished before" in err
    assert "run again" not in err
    assert "2 cells made by different code from the rest: share.py changed" in " ".join(out.split())


def test_cells_of_another_version_stand_in_no_table_until_they_are_run_again(fairbench, tmp_path):
    (tmp_path / "share.py").write_text(METHOD)
    fairbench(*LOCAL_RUN)
    path = tmp_path / "r/run.json"
    run = json.loads(path.read_text())
    run["sources"][str(tmp_path / "share.py")]["version"] = "another"
    path.write_text(json.dumps(run))
    out = fairbench("report", "r")[1]
    assert "2 of 4 cells not run yet" in out
    assert rates(fairbench) == []


@pytest.mark.long
def test_a_suite_that_another_has_overtaken_is_refused_under_the_lock(fairbench, tmp_path, monkeypatch):
    """Both find the directory empty; the other has written to it by the time that this one holds the lock."""
    one = ["run", "--datasets", "synthetic[rows=300]", "--repeats", "1", "--workers", "1", "--out", "r", "--methods"]

    def overtaken(*arguments):
        command = [sys.executable, "-m", "fairbench", *one, "coin"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        written.append((tmp_path / "r/run.json").read_bytes())
        return gather(*arguments)

    written = []
    monkeypatch.setattr("fairbench.running.session.gather", overtaken)
    status, out, err = fairbench(*one, "constant")
    assert (status, out) == (2, "")
    assert "r holds a run of another suite (coin, 1 cell), and 1 of its cells is not among the 1 of this one" in err
    assert [(tmp_path / "r/run.json").read_bytes()] == written

"""``run.json``, edited in any way, is refused in words or read; it is replaced in one step and through no link."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress

import pytest

from fairbench.analysis.export import prediction_rows, rescored
from fairbench.analysis.values import rows
from fairbench.errors import StoreError, SuiteError
from fairbench.plugins.loading import load_plugins
from fairbench.running.resume import Plan
from fairbench.running.rundir import choose_directory, load_results
from fairbench.running.runfile import RUN_FILE, read_run, write_run
from fairbench.running.suite import Suite, plan

ONE = ["--methods", "constant", "--datasets", "synthetic[rows=300]", "--workers", "1", "--repeats", "1"]
ACCEPTED = {"when": "2026-01-01", "source": "x.py", "files": "x.py changed", "before": "a", "after": "b", "cells": 3}
WRONG = [None, 10**30, "\x1b[31m", [[[]]], {"a": {"b": 1}}]


@pytest.fixture
def run(fairbench, tmp_path):
    fairbench("run", *ONE, "--out", "r")
    content = json.loads((tmp_path / "r" / RUN_FILE).read_text())
    content["accepted"].append(ACCEPTED)
    content["unavailable"]["german"] = "not found"
    return content


def places(value, path=()):
    """Yield the way to each member; of what has many of one kind, to the first two."""
    yield path
    members = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, member in members if path[:1] in [(), ("sessions",)] else members[:2]:
        yield from places(member, (*path, key))


def edited(run, path, value):
    if not path:
        return value
    run = copy.deepcopy(run)
    inner = run
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return run


def loaded(path):
    """Return what a run directory holds, or None and why it is refused."""
    try:
        return load_results(path), ""
    except StoreError as error:
        return None, str(error)


@pytest.mark.long
def test_whatever_stands_in_it_is_refused_or_can_be_shown(run, tmp_path):
    registry, _ = load_plugins()
    reports = [registry.report(name) for name in registry.names("reports")]
    suite = Suite("constant", datasets=("synthetic[rows=300]",), methods=("constant",), repeats=1)
    wanted = Plan.of(suite.to_dict(), plan(suite, registry), registry, grows=False, accept=False)
    refused = 0
    for place in places(run):
        for value in WRONG:
            (tmp_path / "r" / RUN_FILE).write_text(json.dumps(edited(run, place, value)))
            results, refusal = loaded(tmp_path / "r")
            if results is None:
                assert f"r/{RUN_FILE} " in refusal
                assert len(refusal) < 500
                refused += 1
                continue
            with suppress(StoreError, SuiteError):
                choose_directory(wanted, tmp_path / "r")
            for report in reports:
                report.render(results)
            assert len([*rows(results), *prediction_rows(results, tmp_path / "r")]) != 1
            rescored(results, tmp_path / "r", registry, "accuracy")
    assert refused > 100


MISSING = "is missing or of another form (seen"
PUT_BACK = "put back the one that 'fairbench run' made"


@pytest.mark.parametrize("command", ["report", "export", "rescore", "run", "reproduce"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", f"suite {MISSING} None)"),
        (b"[]", f"the whole {MISSING} [])"),
        (b"", "cannot be read: "),
        (b'{"suite": ', "cannot be read: "),
        (b"\xef\xbb\xbf{}", "cannot be read: "),
        (b"\xff\xfe{\x00}\x00", "cannot be read: "),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "it is nested too deeply"),
        (b'{"planned": NaN}', "it holds NaN"),
        (b'{"planned": 1' + b"0" * 5000 + b"}", ""),
        (b'{"suite": {"name": "\\ud800"}}', "cannot be read: "),
    ],
)
def test_what_is_no_run_json_is_refused_by_every_command(fairbench, tmp_path, command, content, message):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / RUN_FILE).write_bytes(content)
    arguments = {"run": ["run", *ONE, "--out", "r"], "reproduce": ["reproduce", "faalgrad:table1", "--out", "r"]}
    status, out, err = fairbench(*arguments.get(command, [command, "r"]))
    assert (status, out) == (2, "")
    assert f"r/{RUN_FILE} " in err
    assert message in err
    assert PUT_BACK in err
    assert (tmp_path / "r" / RUN_FILE).read_bytes() == content


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("sessions", 0, "versions", "torch"), 5, f"sessions[0].versions.'torch' {MISSING} 5)"),
        (("sessions",), [], "sessions is empty"),
        (("planned",), 7, "planned is 7 but it names 1 cell"),
        (("format",), 3, "a later one made it"),
        (
            ("labels", "accuracy"),
            ["acc.", "sideways"],
            "labels.'accuracy' is ['acc.', 'sideways']; it must be a heading",
        ),
        (("labels", "accuracy"), [" ", "higher"], "it must be a heading"),
        (("components", "method constant"), "gone", "components.'method constant' is 'gone', which sources lacks"),
        (("sessions", 0, "compiled"), 1, f"sessions[0].compiled {MISSING} 1)"),
        (("planned",), True, f"planned {MISSING} True)"),
    ],
)
def test_the_place_and_the_value_are_named(run, tmp_path, place, value, message):
    (tmp_path / "r" / RUN_FILE).write_text(json.dumps(edited(run, place, value)))
    with pytest.raises(StoreError) as caught:
        read_run(tmp_path / "r")
    assert message in str(caught.value)


def test_a_folder_or_a_pipe_in_its_place_is_refused(tmp_path):
    (tmp_path / RUN_FILE).mkdir()
    with pytest.raises(StoreError, match=r"run\.json is not a file"):
        read_run(tmp_path)
    (tmp_path / RUN_FILE).rmdir()
    os.mkfifo(tmp_path / RUN_FILE)
    with pytest.raises(StoreError, match=r"run\.json is not a file"):
        read_run(tmp_path)


def test_no_link_is_followed_when_it_is_written(run, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("keep me")
    (tmp_path / "r" / f"{RUN_FILE}.partial").symlink_to(mine)
    (tmp_path / "r" / RUN_FILE).unlink()
    (tmp_path / "r" / RUN_FILE).symlink_to(mine)
    write_run(tmp_path / "r", run)
    assert mine.read_text() == "keep me"
    assert not (tmp_path / "r" / RUN_FILE).is_symlink()
    assert read_run(tmp_path / "r") == run


@pytest.mark.parametrize("name", [".lock", "results.sqlite"])
def test_a_link_that_would_be_written_through_is_refused(fairbench, tmp_path, name):
    assert fairbench("run", *ONE, "--out", "r")[0] == 0
    mine = tmp_path / "mine.sqlite"
    (tmp_path / "r" / "results.sqlite").rename(mine)
    kept = mine.read_bytes()
    (tmp_path / "r" / "results.sqlite").symlink_to(mine)
    (tmp_path / "r" / ".lock").unlink(missing_ok=True)
    if name == ".lock":
        (tmp_path / "r" / name).symlink_to(mine)
    status, _, err = fairbench("run", *ONE, "--out", "r")
    assert status == 2
    assert f"r/{name} is a link, which fairbench never makes; remove it" in err
    assert mine.read_bytes() == kept


def test_what_could_not_be_read_again_is_not_written(run, tmp_path):
    before = (tmp_path / "r" / RUN_FILE).read_bytes()
    with pytest.raises(StoreError, match=r"is not written, since nobody could read it: notes"):
        write_run(tmp_path / "r", {**run, "notes": {"german": [5]}})
    assert (tmp_path / "r" / RUN_FILE).read_bytes() == before


def test_bytes_that_are_no_text_in_a_command_do_no_harm(run, tmp_path):
    run["sessions"][0]["command"] = ["run", os.fsdecode(b"out\xff")]
    write_run(tmp_path / "r", run)
    assert read_run(tmp_path / "r")["sessions"][0]["command"] == ["run", "out?"]

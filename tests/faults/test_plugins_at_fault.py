"""Plugins that do what they should not: the culprit is named, and its neighbours' values stay what they were."""

from __future__ import annotations

import csv
import io
import signal
import sys

import pytest
from fault_helpers import GRID, HERE, PROCESSES, SERIAL

from fairbench.records import CRASHED, DONE, FAILED, OUT_OF_MEMORY, TIMED_OUT

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests read /proc"),
]

CHANGES = {  # what is said of what it changed, if anything
    "print": "",
    "chdir": "the working directory",
    "seed": "",
    "thread": "",
    "warnings": "the warnings filters",
    "locale": "the locale",
    "numpy": "numpy's",
    "fork": "",
}
FAILS = {  # the reason
    "exit": "SystemExit: bye",
    "nan": "nan",
    "shape": "3",
    "label": "7",
    "write": "method trouble wrote to its inputs: X of the training part changed",
}
DIES = {"os_exit": (CRASHED, "exited with status 3"), "segfault": (CRASHED, "was killed by SIGSEGV")}
EXCEEDS = {  # the status and the reason
    "memory": (OUT_OF_MEMORY, "the limit is 600 MiB"),
    "hang": (TIMED_OUT, "stopped after 30 s"),
    "hang_native": (TIMED_OUT, "stopped after 30 s"),
}


def grid(kinds, repeats):
    """Return a command that runs a neighbour, the culprits, and another neighbour, over and over."""
    command = [*GRID, "--plugin", str(HERE / "trouble_plugin.py"), "--repeats", str(repeats)]
    command[command.index("--methods") + 1] = f"draws[shift=0.0],trouble[kind={'|'.join(kinds)}],draws[shift=0.1]"
    return command


def told(nursery, folder):
    """Return the status and the reason of every kind of trouble, from an export."""
    rows = csv.DictReader(io.StringIO(nursery.run(["export", "r"], folder).out))
    return {r["parameters"].partition("=")[2]: (r["status"], r["reason"]) for r in rows if r["method"] == "trouble"}


def ended_as(expected, ended):
    """Check that every kind of trouble ended with its status, for its reason."""
    assert ended.keys() == expected.keys()
    for kind, (status, words) in expected.items():
        assert ended[kind][0] == status, ended
        assert words in ended[kind][1], ended


def neighbours_are_well(count, folder, repeats):
    """Count a round, and check that every neighbour was run."""
    assert len(count.round(folder, {})) == 2 * repeats
    assert count.sound()


@pytest.mark.parametrize("executor", [SERIAL, PROCESSES], ids=["serial", "processes"])
def test_what_a_plugin_changes_prints_or_returns_harms_no_neighbour(nursery, tally, tmp_path, executor):
    count = tally(f"plugins that change the process or return what is wrong ({executor[1]})")
    run = nursery.run([*grid([*CHANGES, *FAILS], 2), *executor], tmp_path)
    assert run.status == 1, run.err
    ended = told(nursery, tmp_path)
    for kind, words in CHANGES.items():
        assert ended[kind] == (DONE, "")
        assert f"while method trouble ran, {words}" in run.err or not words, (kind, run.err)
    for kind, words in FAILS.items():
        assert ended[kind][0] == FAILED
        assert words in ended[kind][1], ended[kind]
    assert "rubbish" not in run.out
    neighbours_are_well(count, tmp_path, 2)
    run.wait_until_nothing_is_left()


def test_a_plugin_that_ends_its_process_costs_only_its_cell(nursery, tally, tmp_path):
    count = tally("plugins that end their process (processes)")
    run = nursery.run([*grid(DIES, 1), *PROCESSES], tmp_path)
    assert run.status == 5, run.err  # all that failed has crashed
    ended_as(DIES, told(nursery, tmp_path))
    neighbours_are_well(count, tmp_path, 1)
    run.wait_until_nothing_is_left()


@pytest.mark.parametrize(("kind", "status"), [("os_exit", 3), ("segfault", -signal.SIGSEGV)])
def test_a_plugin_that_ends_the_only_process_loses_nothing_that_was_finished(nursery, tally, tmp_path, kind, status):
    count = tally(f"plugin that ends the only process ({kind}, serial)")
    assert nursery.run([*grid([kind], 2), *SERIAL], tmp_path).status == status
    kept = count.round(tmp_path, {})
    assert kept
    assert count.sound()


def test_a_plugin_that_exceeds_a_limit_costs_only_its_cell(nursery, tally, tmp_path):
    count = tally("plugins that hang or eat memory (processes)")
    run = nursery.run([*grid(EXCEEDS, 1), *PROCESSES, "--timeout", "30s", "--memory-limit", "600M"], tmp_path)
    assert run.status == 1, run.err
    ended_as(EXCEEDS, told(nursery, tmp_path))
    neighbours_are_well(count, tmp_path, 1)
    run.wait_until_nothing_is_left()

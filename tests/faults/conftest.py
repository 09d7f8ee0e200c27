"""Real runs that are killed, starved and misled; ``pytest tests/faults`` ends with a table of what it cost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # the tests are imported by path, which leaves their folder out
HEADINGS = ("fault", "rounds", "finished cells looked at", "cells lost", "wrong values")


PARTS = ("executors", "metrics", "reports", "scenarios")
FEW_PLUGINS = {  # what the runs need, which is half of the time that they take to start
    "FAIRBENCH_PLUGINS": ",".join(f"fairbench_{part}" for part in PARTS),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch):
    """Let processes that a test starts load little; other tests run in this process too, so it ends with the test."""
    for name, value in FEW_PLUGINS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def nursery():
    """Give what starts ``fairbench`` quickly."""
    from fault_helpers import Nursery

    with pytest.MonkeyPatch.context() as patch:
        for name, value in FEW_PLUGINS.items():
            patch.setenv(name, value)
        nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def undisturbed(nursery, tmp_path_factory):
    """Give the folder of a run that nothing disturbed."""
    from fault_helpers import GRID, SERIAL

    folder = tmp_path_factory.mktemp("undisturbed")
    assert nursery.run([*GRID, *SERIAL], folder).status == 0
    return folder


@pytest.fixture
def tally(undisturbed, request):
    """Give a function that begins to count what a fault costs; the counts are printed when all tests have ended."""
    from fault_helpers import Tally, stored

    tallies = []
    truth = {key: values for key, (values, _) in stored(undisturbed).items()}

    def begin(fault):
        tallies.append(Tally(fault, truth))
        return tallies[-1]

    yield begin
    request.node.user_properties += [("fault", tally.row) for tally in tallies]


@pytest.fixture
def permits(tmp_path):
    """Give what limits how far runs get."""
    from fault_helpers import Permits

    permits = Permits(tmp_path)
    yield permits
    permits.close()


def pytest_terminal_summary(terminalreporter):
    """Print the table of faults."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    rows = {row for report in reports for name, row in getattr(report, "user_properties", ()) if name == "fault"}
    if rows:
        terminalreporter.section("faults")
        for row in [HEADINGS, ("---",) * len(HEADINGS), *sorted(map(tuple, rows))]:
            terminalreporter.write_line(f"| {' | '.join(map(str, row))} |")

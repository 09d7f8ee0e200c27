"""Eight rows small enough to check every rate by hand, and the command line in this process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from fairbench.api import Predictions, Samples, Schema
from fairbench.cli.main import main

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE / "plugins"), str(HERE / "page")]  # tests are imported by path, helpers by name
os.environ["COLUMNS"] = "100"  # of tables, whoever runs the tests
os.environ.setdefault("FAIRBENCH_NO_REFERENCE", "1")  # tests of reference lines ask for them
os.environ["FAIRBENCH_ENVIRONMENTS"] = os.devnull  # isolated plugins of whoever runs the tests have no part in them


with suppress(ImportError):  # the tests of what was built run without it
    from hypothesis import HealthCheck, settings

    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # however slow the machine is
    settings.register_profile("same", derandomize=True, **patient)  # examples every time
    settings.register_profile("new", **patient)  # --hypothesis-profile new searches on
    settings.load_profile("same")


LEFT_OUT = {  # so that the whole matrix ends in time
    "training": ({(3, 9), (3, 10), (3, 12), (3, 13)}, "trains for long; Python 3.11 runs it"),
    "long": ({(3, 9), (3, 10), (3, 11), (3, 12)}, "takes seconds; Python 3.13 runs it"),
    "documents": ({(3, 9), (3, 10), (3, 12), (3, 13)}, "follows documents or opens a browser; Python 3.11 runs it"),
    "faults": ({(3, 9), (3, 10), (3, 11), (3, 13)}, "kills processes in many rounds; Python 3.12 runs it"),
}


def pytest_collection_modifyitems(items):
    """Leave tests that take long to some Pythons of the matrix."""
    if "FAIRBENCH_LONG" in os.environ:
        return
    for mark, (versions, reason) in LEFT_OUT.items():
        if sys.version_info[:2] in versions:
            for item in items:
                if item.get_closest_marker(mark):
                    item.add_marker(pytest.mark.skip(reason=f"{reason}, or any with FAIRBENCH_LONG=1"))


@pytest.fixture
def eight_rows() -> Samples:
    """Two groups of four rows; y = 1 in two of the first group and in three of the second, which is protected."""
    return Samples(
        X=np.arange(8, dtype=np.float32).reshape(8, 1),
        group=np.array([1, 1, 1, 1, 0, 0, 0, 0]),
        schema=Schema(feature_names=("x",), group_names=("other", "protected"), protected=1),
        y=np.array([1, 1, 1, 0, 1, 1, 0, 0]),
    )


@pytest.fixture
def eight_predictions() -> Predictions:
    """Selected in the groups (other, protected): 3/4 and 1/4; of y = 1 all and 1/3; of y = 0 one half and none."""
    return Predictions(np.array([1, 0, 0, 0, 1, 1, 1, 0]))


@pytest.fixture
def fairbench(monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder; return status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fairbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return exit_info.value.code, captured.out, captured.err

    return run

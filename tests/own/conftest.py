"""A table, and a run on a file that is planned and does not happen."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent))  # the tests are imported by path, which leaves their folder out

from own_tables import QUICK, SAID, people


@pytest.fixture
def table():
    return people()


@pytest.fixture
def asked(fairbench, tmp_path):
    """Plan a run on a file with this content, and return status and stderr; nothing runs."""

    def plan(content, *options, said=SAID, name="loans.csv"):
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        status, out, err = fairbench("run", "--data", name, *said, *options, *QUICK, "--dry-run")
        assert (status, out) == (2, "") or status == 0
        return status, " ".join(err.split())

    return plan

"""The paper keeps fairbench's rules, and its tables can be planned."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Callable

import pytest

from fairbench.testing import CHECKS
from my_paper.paper import fairbench_papers


@pytest.mark.parametrize("check", CHECKS["papers"])
def test_it_keeps_the_rules(check: Callable[[Any], Any]) -> None:
    for paper in fairbench_papers():
        check(paper)


def test_every_row_of_its_table_is_measured_as_often_as_the_paper_did() -> None:
    command = [sys.executable, "-m", "fairbench", "reproduce", "my_paper", "--quick", "--dry-run", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    planned = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(planned) == 3 * 3  # methods, repeats

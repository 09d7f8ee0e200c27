"""A paper: the numbers that it reports, and the suites that measure them again."""

from __future__ import annotations

from pathlib import Path

from fairbench.api import Paper, hookimpl

FAIRBENCH_API = 1


@hookimpl
def fairbench_papers() -> list[Paper]:
    """Return the paper."""
    return [
        Paper(
            name="my_paper",
            title="The title of the paper",
            reference="Its authors, and where it appeared",
            directory=Path(__file__).with_name("published"),
        )
    ]

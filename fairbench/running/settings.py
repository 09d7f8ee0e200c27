"""Where and how cells run, and worker processes that begin to load before the run knows its cells."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import Choice
from fairbench.choices import parse_choices
from fairbench.data.own.declaration import OwnData
from fairbench.errors import FairbenchError, SuiteError
from fairbench.plugins.executing import NO_LIMITS, Limits
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.running.cell import CellRunner

EXECUTORS = "fairbench_executors"  # the built-in ones, which load in a moment


@dataclass(frozen=True)
class Settings:
    """Where and how cells run; nothing of it can change a number.

    Args:
        workers: processes of one thread each; by default as many as there are processors.
        executor: the executor by name, which overrides ``workers``.
        limits: what a cell may use, and how often it is tried again if its process dies.
        budget: seconds of wall-clock time that the session may take, loading of data included; then it is stopped.
        fail_fast: stop the session at the first cell that fails.
        data_dir: folder that is asked for raw data first.
        offline: download nothing.
        plugins: paths of local plugin files.
        accept_changes: keep finished cells although code of the same version has changed.
        wait: wait for another run that is writing to the directory, instead of ending with an error.
        own: tables of the user's own.
    """

    workers: Optional[int] = None
    executor: Optional[Choice] = None
    limits: Limits = NO_LIMITS
    budget: Optional[float] = None
    fail_fast: bool = False
    data_dir: Optional[Path] = None
    offline: bool = False
    plugins: tuple[str, ...] = ()
    accept_changes: bool = False
    wait: bool = False
    own: tuple[OwnData, ...] = ()

    def __post_init__(self) -> None:
        """Check the number of workers."""
        if self.workers is not None and (type(self.workers) is not int or self.workers < 1):
            raise SuiteError(f"workers is {self.workers!r}; it must be a whole number, at least 1")

    def executor_for(self, cells: int, registry: Registry) -> Choice:
        """Return the executor for a number of cells.

        A single worker runs in this process, unless there are limits, which only another process can enforce.
        """
        if self.executor is not None:
            return self.executor
        workers = max(1, min(self.workers or registry.get("executors", "processes")().workers, cells))
        hard = bool(self.limits) or self.budget is not None
        return Choice("processes", {"workers": workers}) if workers > 1 or hard else Choice("serial")


def warmed(settings: Settings, runner: CellRunner) -> Any:
    """Let worker processes of a built-in executor begin to load what a runner needs.

    Return what must be kept until they are used and then be ended, by its method ``end``. None if nothing can be loaded
    ahead, or if something is wrong with the settings, which is said when the executor is built.
    """
    with suppress(FairbenchError):
        registry = load_plugins(only=(EXECUTORS,))[0]
        executor = registry.build("executors", settings.executor_for(2, registry))
        return executor.warm(runner) if hasattr(executor, "warm") else None
    return None


def chosen_executor(text: Optional[str]) -> Optional[Choice]:
    """Return the one executor that a text such as ``processes[workers=2]`` names; None for None.

    Raises:
        SuiteError: it is no text, or names none or several.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise SuiteError(f"executor is {text!r}; it must be a text such as 'processes[workers=2]'")
    choices = parse_choices(text)
    if len(choices) != 1:
        raise SuiteError(f"{text!r} names {len(choices)} executors; name one")
    return choices[0]

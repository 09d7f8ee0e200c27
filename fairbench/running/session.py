"""Run a plan and read what it gave, with plain arguments: what the command line and Python share.

Nothing here knows about a terminal. To show the progress of a run, pass an ``Observer``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Optional

from fairbench.cells import Cell, Choice
from fairbench.choices import parse_choices
from fairbench.data.files import DataSource
from fairbench.data.own.declaration import OwnData, declared
from fairbench.data.own.prepared import Prepared, prepared
from fairbench.errors import NotApplicable, SuiteError
from fairbench.plugins.executing import NO_LIMITS, Executor, Limits
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.quantities import duration
from fairbench.records import DONE, FAILURES, Record, Results
from fairbench.running import rundir
from fairbench.running.attributes import check_group_names
from fairbench.running.budget import Budget
from fairbench.running.cell import CellRunner
from fairbench.running.checkpoints import FOLDER
from fairbench.running.finished import Finished
from fairbench.running.grid import Availability, gather, run_cells
from fairbench.running.growth import measure_more
from fairbench.running.hyperparameters import checked_parameters, default_parameters
from fairbench.running.resume import Plan
from fairbench.running.runfile import RUN_FILE, read_run
from fairbench.running.sharing import scratch, share_datasets
from fairbench.running.store import run_folder
from fairbench.running.suite import Suite, left_out, plan, read_suite
from fairbench.running.warming import warmed
from fairbench.system.generators import generators_kept
from fairbench.system.isolation import process_state_kept
from fairbench.system.threads import one_thread
from fairbench.texts import error_line


class Observer:
    """Is told about the progress of a run; this one ignores it. A subclass can show it."""

    def say(self, sentence: str) -> None:
        """Receive a sentence that the user must be told."""

    def own_data(self, table: Prepared) -> None:
        """Receive how a table of the user's own was understood."""

    @contextmanager
    def downloads(self) -> Iterator[Any]:
        """Watch downloads: yield a function of (what is fetched, bytes received, bytes in all if known), or None."""
        yield None

    @contextmanager
    def cells(self, planned: int, finished: int) -> Iterator[Any]:
        """Watch cells, some of them finished before: yield a function of each new ``Record``, or None."""
        yield None


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


class Session:
    """The plugins and data that runs use, and the runs themselves."""

    def __init__(self, settings: Optional[Settings] = None, observer: Optional[Observer] = None) -> None:
        """Load the plugins, and say which cannot be used.

        Raises:
            PluginError: a local plugin file cannot be used.
            DataError: a table of the user's own does not fit what is said of it.
            SuiteError: it has the name of another dataset.
        """
        self.settings, self.observer = settings or Settings(), observer or Observer()
        self.registry: Registry = load_plugins(self.settings.plugins, own=self.settings.own)[0]
        for own in self.settings.own:
            self.observer.own_data(prepared(own))
        for sentence in self.registry.warnings:
            self.observer.say(f"warning: {sentence}")
        files = tuple(map(os.path.abspath, self.settings.plugins))  # the current folder may change
        source = DataSource(self.settings.data_dir, self.settings.offline, self.settings.plugins)
        self.runner = CellRunner(source, files, own=self.settings.own)

    def plan(self, suite: Suite) -> Plan:
        """Return what a suite asks for, with the digests of all code that has a part in it.

        Raises:
            SuiteError: it asks for what there is not; ``UnknownName`` with the names that come near.
        """
        cells = plan(suite, self.registry)
        for sentence in left_out(suite, self.registry):
            self.observer.say(sentence)
        return Plan.of(suite.to_dict(), cells, self.registry, grows=False, accept=self.settings.accept_changes)

    def executor(self, cells: int) -> Choice:
        """Return the executor that the settings name.

        A single worker runs in this process, unless there are limits, which only another process can enforce.
        """
        if self.settings.executor is not None:
            return self.settings.executor
        workers = max(1, min(self.settings.workers or self.registry.get("executors", "processes")().workers, cells))
        hard = bool(self.settings.limits) or self.settings.budget is not None
        return Choice("processes", {"workers": workers}) if workers > 1 or hard else Choice("serial")

    def built_executor(self, cells: int) -> tuple[Executor, Choice]:
        """Return the executor for a number of cells, and the choice that names it.

        Raises:
            SuiteError: a parameter is wrong, or the executor cannot enforce the limits.
        """
        choice = self.executor(cells)
        executor: Executor = self.registry.build("executors", choice)
        if self.settings.limits:
            try:
                list(executor.map(self.runner, [], self.settings.limits))
            except NotApplicable as error:
                raise SuiteError(str(error)) from error
        return executor, choice

    def run(self, planned: Plan, path: Path, command: Sequence[str] = ()) -> Finished:
        """Run what the directory does not hold yet, and return all that it holds then.

        Ctrl-C while cells run ends the session early, and so do a budget that is used up, and with ``fail_fast`` the
        first failure: what is finished is kept and returned.

        Args:
            planned: what to run.
            path: the run directory, see ``rundir.choose_directory``.
            command: for ``run.json``: what the user typed.

        Raises:
            DataError: a dataset is damaged, or has changed since the directory was begun.
            StoreError: the directory cannot be written, or another run holds it; what was written before stays.
            SuiteError: the directory holds other cells, or finished cells of other code.
        """
        budget = Budget(self.settings.budget)
        executor, choice = self.built_executor(len(planned.cells))
        with warmed(executor) as executor, one_thread(), generators_kept():
            interrupt, stopped, unmeasured = self._run(planned, path, executor, str(choice), command, budget)
        return Finished(rundir.load_results(path), path, interrupt, stopped, unmeasured)

    def _run(
        self, planned: Plan, path: Path, executor: Executor, shown: str, command: Sequence[str], budget: Budget
    ) -> tuple[Optional[KeyboardInterrupt], str, int]:
        """Run the cells.

        Return the interrupt that ended the session and why it stopped itself, if it did, and how many finished cells
        could not be measured by more metrics.
        """
        say = self.observer.say
        for sentence in self.registry.import_warnings:
            say(f"warning: {sentence}")
        available = self._gathered(planned.cells, budget)
        for label, reason in {**available.skipped, **available.failed}.items():
            say(f"{label} is left out: {error_line(reason)}")
        # A worker loads code and data by itself: it must know which.
        runner = replace(self.runner, partial=path.absolute() / FOLDER, code=planned.code, data=available.digests)
        waiting = say if self.settings.wait else None
        writing = rundir.writing(path, planned, available, self.registry, command, shown, waiting)
        with writing as opened, scratch(path) as folder:
            runner = replace(runner, scratch=folder)
            try:
                with budget.interrupts():
                    stopped = self._run_cells(planned.cells, available, runner, executor, opened, budget)
            except KeyboardInterrupt as interrupt:
                if not budget.stopped:
                    return interrupt, "", len(opened.unmeasured)
                stopped = self._used_up
        return None, stopped, len(opened.unmeasured)

    def _gathered(self, cells: Sequence[Cell], budget: Budget) -> Availability:
        try:
            with budget.interrupts(), self.observer.downloads() as progress:
                return gather(cells, self.runner, progress)
        except KeyboardInterrupt:
            if not budget.stopped:
                raise
            used_up = f"the budget of {duration(self.settings.budget or 0)} was used up while data were loaded"
            raise SuiteError(f"{used_up}, before any cell ran; give a longer one, or name fewer datasets") from None

    @property
    def _used_up(self) -> str:
        return f"stopped: the budget of {duration(self.settings.budget or 0)} is used up"

    def _run_cells(
        self,
        cells: Sequence[Cell],
        available: Availability,
        runner: CellRunner,
        executor: Executor,
        opened: rundir.Opened,
        budget: Budget,
    ) -> str:
        for sentence in opened.kept.said:
            self.observer.say(sentence)
        opened.done.update(self._kept(cells, opened, available.digests))
        finished = frozenset(opened.done)
        if not getattr(executor, "in_this_process", False):
            assert runner.scratch is not None  # noqa: S101 - it has just been made
            pending = (cell for cell in cells if cell.key not in finished)
            for sentence in share_datasets(pending, self.runner.workbench, available.digests, runner.scratch):
                self.observer.say(f"warning: {sentence}")
        lacking, limits = opened.kept.lacking, self.settings.limits
        new = run_cells(cells, available, runner, executor, opened.store, finished, limits, lacking)
        with self.observer.cells(len(cells), len(finished)) as advance, closing(new) as records:
            return self._watch(records, advance, budget, opened)

    def _kept(self, cells: Sequence[Cell], opened: rundir.Opened, digests: Collection[str]) -> set[str]:
        """Return the keys of finished cells that stay, measured by the metrics that they lacked."""
        keys, lacking = opened.kept.keys, opened.kept.lacking
        if not lacking:
            return set(keys)
        to_measure = [cell for cell in cells if cell.key in lacking]
        with process_state_kept():  # metrics run here
            measured = measure_more(to_measure, opened.store, self.runner.workbench, digests)
            return {*(keys - lacking), *(cell.key for cell in measured)}

    def _watch(self, records: Iterator[Record], advance: Any, budget: Budget, opened: rundir.Opened) -> str:
        """Follow the records, and note the keys of the cells that are done, and of those that stay as they were.

        Return why no more are wanted, empty if there are no more.
        """
        remarks: set[str] = set()
        for record in records:
            if record.status == DONE:
                opened.done.add(record.cell.key)
            elif record.cell.key in opened.kept.lacking:
                opened.unmeasured.add(record.cell.key)
                if (why := _why(record)) not in remarks:
                    self.observer.say(f"{_where(record.cell)}: stays as it was, for it failed with more metrics: {why}")
                    remarks.add(why)
            if advance is not None:
                advance(record)
            for remark in record.remarks:
                if remark not in remarks:
                    self.observer.say(f"warning: {remark}")
                    remarks.add(remark)
            if self.settings.fail_fast and record.status in FAILURES:
                return f"stopped at the first failure: {_where(record.cell)}, {_why(record)}"
            if budget.used_up and not budget.stopped:  # in a thread that cannot be interrupted
                return self._used_up
        return ""


def _where(cell: Cell) -> str:
    return f"{cell.method} on {cell.place}, repeat {cell.repeat}"


def _why(record: Record) -> str:
    return f"{record.status}: {error_line(record.reason)}"


def chosen_suite(path: Optional[Path], given: Mapping[str, Any]) -> Suite:
    """Return the suite of a file and of choices, which win over the file.

    Args:
        path: of a suite file, if there is one.
        given: fields of ``Suite`` by name; those that are None or empty count as not given. Without a file,
            ``methods`` and ``datasets`` are needed. Tables of the user's own (``data``) are added to the datasets.

    Raises:
        SuiteError: the file cannot be read, or a field is missing or wrong.
    """
    chosen = {name: value for name, value in given.items() if value is not None and value != ()}
    check_group_names(chosen.get("group", ()))
    own = chosen.pop("data", {})
    if path is not None:
        suite = replace(read_suite(path), **chosen)
        return _with_reference(suite.with_data(own) if own else suite)
    chosen.setdefault("datasets", tuple(own))
    missing = [name for name in ("methods", "datasets") if not chosen.get(name)]
    if missing:
        raise SuiteError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; name some, or 'all'")
    suite = Suite(**{"name": str(chosen["methods"][0]), "parameters": default_parameters(), **chosen})
    return _with_reference(suite.with_data(own) if own else suite)


def _with_reference(suite: Suite) -> Suite:
    """Return the suite with reference methods, unless it or the environment says no."""
    if suite.reference is not None:
        return suite
    return replace(suite, reference=not os.environ.get("FAIRBENCH_NO_REFERENCE", "").strip())


def suite_of(results: Results) -> Suite:
    """Return the suite of a run that ``fairbench run`` or ``fairbench.run`` made.

    Raises:
        SuiteError: the run was made otherwise, or its record is damaged.
    """
    kept = results.run.get("suite", {})
    names = {known.name for known in fields(Suite)}
    if not {"methods", "datasets"} <= kept.keys() or not kept.keys() <= names:
        raise SuiteError("only a run of 'fairbench run' can be extended; this one was made by another command")
    found: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    if isinstance(found.get("stratify"), bool):  # kept before it could hold both
        found["stratify"] = (found["stratify"],)
    found["parameters"] = checked_parameters(found.get("parameters", {}), RUN_FILE)
    found["data"] = _declarations(kept)
    return Suite(**found)


def own_tables(path: Path) -> tuple[OwnData, ...]:
    """Return the tables of the user's own that a run directory, or the store in one, was made with.

    Raises:
        StoreError: it is no run directory.
        SuiteError: a declaration cannot be read, or its rows were given in Python.
    """
    tables = _declarations(read_run(run_folder(path))["suite"])
    return tuple(declared(name, table, f"{path}: suite.data.{name}") for name, table in tables.items())


def _declarations(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the suite that a run keeps declares of tables of the user's own, by name."""
    tables = kept.get("data", {})
    if not isinstance(tables, dict):
        raise SuiteError(f"suite {RUN_FILE}: data is {tables!r}; it must be a table")
    return tables


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

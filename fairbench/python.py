"""fairbench from Python: run a grid or read a run directory, and work with what is found in pandas.

import fairbench

found = fairbench.run(methods="faalgrad,threshold", datasets="compas,german", repeats=5)
print(found.table("accuracy", "demographic_parity_difference"))
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from fairbench.choices import metric_called
from fairbench.data.own.declaration import own_data
from fairbench.errors import UnknownName
from fairbench.plugins.executing import Limits
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Registry
from fairbench.quantities import bytes_of, retries_of, seconds_of
from fairbench.running.arguments import (
    Names,
    PathText,
    files_of,
    flag_of,
    folder_of,
    given_path,
    joined,
    listed,
    path_of,
    plain_number,
    shares_of,
    text_of,
    wrong_type,
)
from fairbench.running.finished import Finished
from fairbench.running.rundir import choose_directory, load_results
from fairbench.running.session import Observer, Session, Settings, chosen_executor, chosen_suite
from fairbench.texts import counted

if TYPE_CHECKING:
    import pandas

    from fairbench.analysis.compared_shown import Shown
    from fairbench.records import Results


class Run:
    """The content of a run directory, finished or not.

    Args:
        ended: the results, the directory, and what interrupted the run, if anything did.
        registry: the components; its reports give the numbers of ``means`` and the text of ``print(run)``.
    """

    def __init__(self, ended: Finished, registry: Registry) -> None:
        """Wrap the result of a session."""
        self._ended, self._registry = ended, registry

    @property
    def path(self) -> Path:
        """Return the run directory."""
        return self._ended.path

    @property
    def results(self) -> Results:
        """Return the records with their provenance, as reports get them."""
        return self._ended.results

    @property
    def interrupted(self) -> bool:
        """Return whether the run was stopped early; the same call with ``out=run.path`` continues it.

        The user has stopped it, or its budget was used up, or a cell failed with ``fail_fast``.
        """
        return self._ended.interrupt is not None or bool(self._ended.stopped)

    @property
    def complete(self) -> bool:
        """Return whether every planned cell is done or was skipped, and at least one is done."""
        return self._ended.complete

    @property
    def summary(self) -> str:
        """Return how many cells are done, how many were skipped or failed in which way, and where everything is."""
        counts = ", ".join(f"{count} {status}" for status, count in self._ended.counts.items())
        stopped = f"; {self._ended.stopped}" if self._ended.stopped else ""
        return f"{counted(self.results.planned, 'cell')}: {counts}; everything is in {self.path}{stopped}"

    @property
    def values(self) -> pandas.DataFrame:
        """Return every stored value, one row for each, with the columns of ``fairbench export``."""
        from fairbench.analysis.values import frame

        return frame(self.results)

    @property
    def means(self) -> pandas.DataFrame:
        """Return mean and standard deviation over repeats, one row for each method and metric: the report ``csv``.

        ``undefined`` and ``partial`` count the repeats that a mean leaves out, and ``constant`` marks methods that
        make the same decision for everybody in most repeats, whose gaps between groups say nothing.
        """
        import pandas

        text = str(self._registry.report("csv").render(self.results))
        return pandas.read_csv(io.StringIO(text), keep_default_na=False, na_values={"mean": "", "std": ""})

    def table(self, *metrics: str) -> pandas.DataFrame:
        """Return means ± standard deviations as text, a row for each method and a column for each metric.

        A dash stands where a metric is undefined in every repeat; † marks means that leave repeats out, unfinished ones
        too, and ‡ a method that makes the same decision for everybody in most repeats. Variants of a method on one
        dataset, and of a scenario, are shown with the parameters in which they differ; ``means`` has all of them.

        Args:
            metrics: their names, in order; by default accuracy and the differences of demographic parity and equalized
                odds.

        Raises:
            UnknownName: the run has no such metric.
            SuiteError: a metric is no text.
        """
        from fairbench.analysis.framed import means_as_text

        names = [text_of("a metric", metric) for metric in metrics]
        return means_as_text(self.means, names, f" in {self.path}")

    def by_rule(self, rule: str) -> Run:
        """Return the run with the operating points that another rule chooses on validation; nothing is fitted.

        Only scenarios that choose by a rule keep what is needed for it; other cells stay as they are, see the notes.

        Args:
            rule: e.g. ``"max accuracy subject to eo <= 0.05"``.

        Raises:
            SuiteError: it is no rule, or no cell can be chosen anew.
        """
        from fairbench.analysis.rechosen import chosen_by

        return Run(replace(self._ended, results=chosen_by(self.results, text_of("rule", rule))), self._registry)

    def verdicts(self) -> pandas.DataFrame:
        """Return the verdict on each method at each kind of gap, a row for each; see the tables of verdicts.

        ``value`` is the mean gap, a fraction; ``points`` are accuracy above the coin in per cent of all rows, with the
        ends of their 95% interval; ``reason`` says why there is no verdict, or what else must be known. There are no
        rows if the run has no baseline to compare with.
        """
        from fairbench.analysis.framed import verdict_frame

        return verdict_frame(self.results)

    def plot(self, dataset: Optional[Names] = None, metric: str = "demographic_parity_difference") -> Any:
        """Return a figure of matplotlib: accuracy against the gap, with both reference lines, a panel for each dataset.

        It is the picture of ``fairbench report RUN --format tradeoff``; nothing is shown or written.

        Args:
            dataset: the only one to draw, or several, as on the command line; by default all.
            metric: the gap, ``dp``, ``eo`` or a name.

        Raises:
            UnknownName: the run has no such dataset, or the gap has no lines.
            SuiteError: a name is no text.
            NotApplicable: matplotlib, the extra ``plots``, is not installed, or there is nothing to draw.
        """
        from fairbench.analysis.filtered import filtered
        from fairbench.analysis.standings import JUDGED

        shown = None if dataset is None else joined("dataset", dataset)
        gap = metric_called(text_of("metric", metric), JUDGED)
        if gap not in JUDGED:
            raise UnknownName("gap with reference lines", metric, JUDGED, f"; there are {', '.join(JUDGED)}")
        draw = self._registry.report("tradeoff").figure
        assert draw is not None  # noqa: S101 - it is a picture
        return draw(filtered(self.results, datasets=shown), gap)

    def compare(
        self,
        other: Run,
        *,
        methods: Optional[Names] = None,
        datasets: Optional[Names] = None,
        metrics: Optional[Names] = None,
    ) -> Shown:
        """Return what changed from this run to another one, as ``fairbench compare`` prints it.

        Args:
            other: the later run, or the one with the other code.
            methods: those to compare, as on the command line; by default all.
            datasets: likewise.
            metrics: likewise.

        Raises:
            UnknownName: neither run has something of that name.
            SuiteError: the runs have no method in common on the same data, or an argument is of another type.
        """
        from fairbench.analysis.compared_shown import compare_shown

        if not isinstance(other, Run):
            raise wrong_type("other", other, "a Run, such as fairbench.load('runs/after')")
        wanted = {"methods": methods, "datasets": datasets, "metrics": metrics}
        given = {name: joined(name, names) for name, names in wanted.items() if names is not None}
        return compare_shown(self.results, other.results, **given)

    def __str__(self) -> str:
        """Return the tables as the command line prints them."""
        return str(self._registry.report("terminal").render(self.results))

    def __repr__(self) -> str:
        """Return ``Run(runs/x: 10 cells: 10 done, 0 skipped, 0 failed)``."""
        return f"Run({self.path}: {self.summary.partition(';')[0]})"

    def _repr_html_(self) -> str:
        """Return means, verdicts and the notes on the data as HTML for a notebook; everything is escaped."""
        from fairbench.analysis.framed import as_html

        return as_html(self.results, self.means, self.summary)


def run(
    suite: Optional[PathText] = None,
    *,
    data: Optional[Union[PathText, pandas.DataFrame, Mapping[str, Union[PathText, pandas.DataFrame]]]] = None,
    label: Optional[str] = None,
    favorable: Any = None,
    protected: Optional[Mapping[str, Any]] = None,
    drop: Optional[Names] = None,
    kinds: Optional[Mapping[str, str]] = None,
    bins: Optional[Mapping[str, Sequence[float]]] = None,
    methods: Optional[Names] = None,
    datasets: Optional[Names] = None,
    scenarios: Optional[Names] = None,
    metrics: Optional[Names] = None,
    group: Optional[Names] = None,
    repeats: Optional[int] = None,
    tunings: Optional[int] = None,
    fits: Optional[int] = None,
    scale: Optional[Names] = None,
    sensitive_as_feature: Optional[bool] = None,
    stratify: Optional[bool] = None,
    group_known: Optional[Union[float, Sequence[float]]] = None,
    group_at_prediction: Optional[bool] = None,
    baseline: Optional[str] = None,
    reference: Optional[bool] = None,
    out: Optional[PathText] = None,
    workers: Optional[int] = None,
    executor: Optional[str] = None,
    timeout: Optional[Union[str, float]] = None,
    memory_limit: Optional[Union[str, float]] = None,
    retries: int = 1,
    fail_fast: bool = False,
    budget: Optional[Union[str, float]] = None,
    data_dir: Optional[PathText] = None,
    offline: bool = False,
    plugins: Union[PathText, Sequence[PathText]] = (),
    accept_changes: bool = False,
    quiet: bool = False,
) -> Run:
    """Run a grid of methods, datasets and repeats, as ``fairbench run`` does, and return what it gave.

    Ctrl-C (or a notebook's stop) while cells run ends the run early: what is finished is kept and returned.

    Args:
        suite: path of a suite file; other arguments override it. Without one, methods and datasets are needed.
        data: a table of your own: the path of a CSV or Parquet file, or a pandas table. Its dataset is called like the
            file, or ``data``; ``{"loans": table}`` names it. ``group`` names its sensitive columns.
        label: of ``data``, the column to predict.
        favorable: of ``data``, the label that is good for the person.
        protected: of ``data``, an attribute's protected group, ``{"sex": "female"}``.
        drop: of ``data``, columns to leave out.
        kinds: of ``data``, ``number``, ``category`` or ``date`` by column, where the guess is wrong.
        bins: of ``data``, the edges between the groups of an attribute of numbers, ``{"age": (25, 45, 65)}``.
        methods: as on the command line, ``"faalgrad[split=config1|config2],threshold"``, or a list of such texts.
        datasets: likewise, ``"compas,adult"`` or ``"all"``.
        scenarios: likewise; by default ``holdout``.
        metrics: likewise; by default all.
        group: sensitive attributes, ``"race,sex"`` for combinations; by default each dataset's own.
        repeats: number of splits; by default 5.
        tunings: for each split, number of ways to divide the rest into training and validation part; by default 1.
        fits: for each of these, number of fits with seeds of their own; by default 1.
        scale: ``standard`` or ``none``, or both.
        sensitive_as_feature: whether the group is one of the features; by default it is not.
        stratify: whether all parts keep the proportions of label and group; by default they do not.
        group_known: share of the training and validation rows whose group is known, or several; by default 1.
        group_at_prediction: whether the group of a row is known when it is predicted; by default it is.
        baseline: the method that others are compared with; by default ``mlp``.
        reference: whether the methods that reference lines need are added (the baseline and ``attainable``); by default
            they are.
        out: run directory; by default a dated one below ``runs``. A finished run is read, an unfinished one continued.
        workers: processes; by default one for each processor. With 1 everything runs in this process.
        executor: where cells run, e.g. ``"processes[workers=2]"``; overrides ``workers``.
        timeout: seconds after which a cell is stopped, or a text such as ``"10m"``; by default never.
        memory_limit: bytes that the process of a cell may hold, or a text such as ``"2G"``; by default any number.
        retries: how often a cell is tried again whose process has died.
        fail_fast: stop at the first cell that fails.
        budget: seconds after which the run is stopped, or a text such as ``"2h"``; finished cells are kept.
        data_dir: folder to search first for raw data files.
        offline: download nothing.
        plugins: path of a local plugin file, or several.
        accept_changes: keep finished cells although the code has changed within a version.
        quiet: print nothing during the run.

    Raises:
        UnknownName: nothing has a name that was given; the message suggests similar names.
        SuiteError: a parameter, a combination or another argument is wrong.
        DataError: a data file is damaged, or no dataset can be used; or ``data`` does not fit what is said of it.
        StoreError: the directory cannot be written, holds another run, or another run is writing to it.
        PluginError: a plugin file cannot be used.
    """
    own = own_data(
        data,
        label=label,
        favorable=favorable,
        group=list(
            dict.fromkeys(name.strip() for names in listed("group", group) or () for name in str(names).split(","))
        ),
        protected=protected,
        drop=drop,
        kinds=kinds,
        bin=bins,
    )
    given = {
        "data": {own.name: own.to_dict()} if own else None,
        "methods": listed("methods", methods),
        "datasets": listed("datasets", datasets),
        "scenarios": listed("scenarios", scenarios),
        "metrics": listed("metrics", metrics),
        "group": listed("group", group),
        "scale": listed("scale", scale),
        "repeats": plain_number(repeats),
        "tunings": plain_number(tunings),
        "fits": plain_number(fits),
        "sensitive_as_feature": None if sensitive_as_feature is None else (plain_number(sensitive_as_feature),),
        "stratify": None if stratify is None else (plain_number(stratify),),
        "group_known": shares_of(group_known),
        "group_at_prediction": None if group_at_prediction is None else (plain_number(group_at_prediction),),
        "baseline": baseline,
        "reference": plain_number(reference),
    }
    place = path_of("out", out)
    chosen = chosen_suite(path_of("suite", suite), given)
    settings = Settings(
        workers=plain_number(workers),
        executor=chosen_executor(executor),
        limits=Limits(
            seconds_of("timeout", plain_number(timeout)),
            bytes_of("memory_limit", plain_number(memory_limit)),
            retries_of(plain_number(retries)),
        ),
        budget=seconds_of("budget", plain_number(budget)),
        fail_fast=flag_of("fail_fast", fail_fast),
        data_dir=folder_of("data_dir", data_dir),
        offline=flag_of("offline", offline),
        plugins=files_of(plugins),
        accept_changes=flag_of("accept_changes", accept_changes),
        own=chosen.own(own),
    )
    session = Session(settings, _observer(flag_of("quiet", quiet)))
    planned = session.plan(chosen)
    path = choose_directory(planned, place)
    return Run(session.run(planned, path), session.registry)


def load(path: PathText, *, plugins: Union[PathText, Sequence[PathText]] = ()) -> Run:
    """Return what a run directory holds, finished or not; nothing is run and nothing is written.

    Args:
        path: of the directory.
        plugins: path of a local plugin file, or several, for reports of their own.

    Raises:
        StoreError: it is no run directory, or it is damaged.
        SuiteError: the path is empty, or no path.
        PluginError: a plugin file cannot be used.
    """
    place = Path(given_path("path", path))
    registry, _ = load_plugins(files_of(plugins))
    return Run(Finished(load_results(place), place), registry)


def _observer(quiet: bool) -> Observer:
    if quiet:
        return Observer()
    from fairbench.cli.notebook import notebook
    from fairbench.cli.running import Terminal

    return notebook() or Terminal()

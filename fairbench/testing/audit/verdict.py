"""The findings of an audit, from outside the processes in which the methods ran."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairbench.cells import Choice
from fairbench.choices import parse_choices
from fairbench.data.files import DATA_VARIABLE, cache_dir
from fairbench.data.rows import Predictions, Samples
from fairbench.errors import SuiteError
from fairbench.plugins.components import Metric
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, FAILURES, SKIPPED, Record
from fairbench.running.cell import measure
from fairbench.running.rundir import load_results
from fairbench.running.store import FILE_NAME, Store, Truth
from fairbench.running.suite import ALL
from fairbench.system.threads import VARIABLES
from fairbench.testing.audit.made import REPEATS, Made, make_pair
from fairbench.testing.audit.worker import REFUSED
from fairbench.texts import error_line, last_line

LEVEL = 1e-6  # chance of predicting coin tosses so well by luck; cheats are far below it
METRICS = ("accuracy", "demographic_parity_difference", "equalized_odds_difference")
RUN = Path("runs") / "audit"
CLEAR, FOUND, UNTRIED = "clear", "found", "not tried"
LAST = REPEATS - 1
SHOWN = 4
RUNS, WATCHED, RECORDED = "runs", "watched", "recorded values"

Stored = Mapping[tuple[int, str], tuple[Truth, Predictions]]


class ProcessDied(Exception):
    """A process of the audit ended too early."""


class AuditFinding(NamedTuple):
    """What was tried with a method and the result: ``clear``, ``found`` or ``not tried``, with the details."""

    method: str
    tried: str
    result: str
    detail: str


@dataclass(frozen=True)
class Process:
    """One of the two processes: its data, the records that it wrote, and what the methods' code was seen to do."""

    made: Made
    records: Sequence[Record]
    told: Sequence[Mapping[str, Any]]

    @property
    def run(self) -> Path:
        """Return the run directory."""
        return self.made.folder / "work" / RUN

    @cached_property
    def stored(self) -> Mapping[str, Stored]:
        """Return each record's stored labels and predictions, by the cell's key."""
        with Store(self.run / FILE_NAME) as store:
            return {record.cell.key: store.predictions(record.cell.key) for record in self.records}

    @cached_property
    def tested(self) -> Sequence[Samples]:
        """Return each repeat's original test part, whatever the process has done to its own copy."""
        return [self.made.split(repeat).test for repeat in range(REPEATS)]


def audit(methods: str, plugins: Sequence[str] = ()) -> list[AuditFinding]:
    """Return the findings for each method.

    Methods are run together. If one has looked around, replaced something or ended the process, the findings for the
    others may be its doing, and they are run once more alone.

    Args:
        methods: as ``fairbench run --methods`` takes them.
        plugins: paths of local plugin files.

    Raises:
        FairbenchError: the methods, their parameters or the plugins cannot be used.
    """
    if ALL in _names(methods):
        raise SuiteError(f"an audit takes methods by name, e.g. 'mlp,tree'; this is {methods!r}")
    try:
        findings = _together(methods, plugins, images=False)
    except ProcessDied as error:
        choices = [str(choice) for choice in parse_choices(methods)]
        if len(choices) == 1:
            return [AuditFinding(choices[0], RUNS, FOUND, str(error))]
        return [finding for choice in choices for finding in audit(choice, plugins)]
    for_images = {finding.method for finding in findings if finding.result == UNTRIED}
    if for_images:  # methods that refuse tables get images; if those are refused too, the finding says why
        findings = [finding for finding in findings if finding.method not in for_images]
        findings += _together(",".join(sorted(for_images)), plugins, images=True)
    suspects = {finding.method for finding in findings if finding.result == FOUND}
    meddled = any(finding.result == FOUND and finding.tried in (WATCHED, RECORDED) for finding in findings)
    if meddled and len({finding.method for finding in findings}) > 1:
        findings = [finding for finding in findings if finding.method not in suspects]
        findings += [again for suspect in sorted(suspects) for again in audit(suspect, plugins)]
    return findings


def _together(methods: str, plugins: Sequence[str], *, images: bool) -> list[AuditFinding]:
    with tempfile.TemporaryDirectory(prefix="fairbench-") as folder:
        pair = make_pair(Path(os.path.realpath(folder)), _decoys(), images=images)
        one, two = _run(pair, methods, plugins)
        metrics = _metrics()
        cells = [record.cell for record in one.records if record.cell.repeat == LAST]
        labels = dict.fromkeys(str(cell.method) for cell in cells if cell.method.name in _names(methods))
        return [finding for label in labels for finding in _judged(label, methods, one, two, metrics)]


def _names(methods: str) -> set[str]:
    return {choice.name for choice in parse_choices(methods)}


def _decoys() -> list[str]:
    """Return the names of the files that real datasets have."""
    registry, _ = load_plugins((), ("fairbench_datasets",))
    usable = [Choice(name) for name in registry.names("datasets") if not registry.lacks("datasets", name)]
    return [file.path for choice in usable for file in registry.dataset(choice).files]


def _metrics() -> list[Metric]:
    registry, _ = load_plugins((), ("fairbench_metrics",))  # and nobody else's code in this process
    return [registry.metric(name) for name in METRICS]


def _run(pair: Sequence[Made], methods: str, plugins: Sequence[str]) -> list[Process]:
    """Run the methods in two processes at once, and return the processes with their results.

    Raises:
        FairbenchError: a process failed before it ran the methods; the message comes from it.
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        for made in pair:
            with open(made.folder / "output", "wb") as output:
                running.append(
                    subprocess.Popen(  # noqa: S603 - this Python, and arguments of ours
                        [
                            sys.executable,
                            "-m",
                            "fairbench.testing.audit.worker",
                            json.dumps(_settings(made, methods, plugins)),
                        ],
                        cwd=made.folder / "work",
                        env=_environment(made),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                )
        for process in running:
            process.wait()
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [_left(made, process.returncode) for made, process in zip(pair, running)]


def _settings(made: Made, methods: str, plugins: Sequence[str]) -> dict[str, Any]:
    neighbour = "constant" if "constant" not in _names(methods) else "always_1"  # stores the labels that are tested
    files = [os.path.abspath(file) for file in plugins]
    suite = {"methods": [f"{neighbour},{methods}"], "datasets": [made.name], "metrics": METRICS, "repeats": REPEATS}
    places = {str(cache_dir()): "the cache", str(made.folder): "the audit's folder"}
    places |= {str(made.folder / part): name for part, name in (("data", f"${DATA_VARIABLE}"), ("work", "."))}
    if os.environ.get(DATA_VARIABLE):
        places[os.environ[DATA_VARIABLE]] = f"the user's ${DATA_VARIABLE}"
    places = dict(sorted(places.items(), key=lambda item: -len(os.path.realpath(item[0]))))  # the nearest name first
    places.pop(str(made.folder))
    report = str(made.folder / "report")
    return {
        "suite": suite,
        "out": str(RUN),
        "words": ["run", "--methods", f"{neighbour},{methods}", "--datasets", made.name, "--out", str(RUN)],
        "methods": methods,
        "plugins": files,
        "data": str(made.plugin),
        "places": places,
        "report": report,
    }


def _environment(made: Made) -> dict[str, str]:
    own = {DATA_VARIABLE: "data", "FAIRBENCH_CACHE": "cache", "TMPDIR": "tmp"}
    changed = {name: str(made.folder / part) for name, part in own.items()}
    kept = {name: value for name, value in os.environ.items() if name != "FAIRBENCH_PLUGINS"}
    return {**kept, **changed, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **dict.fromkeys(VARIABLES, "1")}


def _left(made: Made, status: int) -> Process:
    """Return the results of a process, or raise its message if it did not start."""
    run, report = made.folder / "work" / RUN, made.folder / "report"
    said = (made.folder / "output").read_text(encoding="utf-8", errors="replace")
    if status == REFUSED and last_line(said):
        raise SuiteError(last_line(said).replace("fairbench: ", "", 1))
    if status not in (0, 1) or not (run / FILE_NAME).exists():
        raise ProcessDied(
            f"its process ended with status {status}" + (f", saying {last_line(said)!r}" if last_line(said) else "")
        )
    told = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    return Process(made, load_results(run).records, told)


def _judged(label: str, methods: str, one: Process, two: Process, metrics: Sequence[Metric]) -> Iterator[AuditFinding]:
    """Yield the findings for one method."""
    own = [[record for record in process.records if str(record.cell.method) == label] for process in (one, two)]
    name = own[0][0].cell.method.name
    failed = next((record for record in own[0] + own[1] if record.status in FAILURES), None)
    skipped = next((record for record in own[0] + own[1] if record.status == SKIPPED), None)
    if failed:
        yield AuditFinding(label, RUNS, FOUND, error_line(failed.reason))
    if skipped and not failed:
        yield AuditFinding(label, RUNS, UNTRIED, skipped.reason)
    elif not failed:
        yield _redrawn(label, one, two, own)
        yield _foreseen(label, (one, two), own)
    did = sorted({told["what"] for process in (one, two) for told in process.told if name in told["methods"]})
    neighbours = {record.cell.method.name for record in one.records} - {*_names(methods)}
    wrong = [text for process in (one, two) for text in _wrongly_recorded(process, {name, *neighbours}, metrics)]
    yield _finding(label, WATCHED, did, "it looked at nothing but its inputs, and replaced nothing")
    yield _finding(label, RECORDED, wrong, "those of the predictions and of the labels as they were made")


def shortened(findings: Sequence[AuditFinding]) -> list[AuditFinding]:
    """Return the findings without the parameters of methods that occur only once."""
    variants = Counter(label.partition("[")[0] for label in {finding.method for finding in findings})
    names = {finding.method: finding.method.partition("[")[0] for finding in findings}
    return [
        finding._replace(method=names[finding.method]) if variants[names[finding.method]] == 1 else finding
        for finding in findings
    ]


def _finding(label: str, tried: str, wrong: Sequence[str], clear: str) -> AuditFinding:
    first, more = list(dict.fromkeys(wrong))[:SHOWN], len(set(wrong)) - SHOWN
    detail = "; ".join([*first, f"and {more} more"] if more > 0 else first)
    return AuditFinding(label, tried, FOUND if wrong else CLEAR, detail or clear)


def _redrawn(label: str, one: Process, two: Process, own: Sequence[Sequence[Record]]) -> AuditFinding:
    """Return whether the last predictions are independent of the labels of their rows."""
    stored = [process.stored[records[LAST].cell.key] for process, records in zip((one, two), own)]
    labels = [process.tested[LAST].y for process in (one, two)]
    n, differ = len(labels[0]), int((labels[0] != labels[1]).sum())
    tried = f"{differ} of {n} test labels redrawn"
    if _bytes(stored[0]) == _bytes(stored[1]):
        return AuditFinding(label, tried, CLEAR, "the same predictions")
    right = " and ".join(str(_right(process, records[LAST])) for process, records in zip((one, two), own))
    return AuditFinding(
        label,
        tried,
        FOUND,
        f"the predictions changed with labels that the method is never given (it got {right} of the {n} coin tosses "
        "right), or they change from process to process",
    )


def _bytes(stored: Stored) -> dict[tuple[int, str], list[bytes]]:
    return {
        key: [p.y_pred.tobytes(), p.decision.tobytes(), b"" if p.y_score is None else p.y_score.tobytes()]
        for key, (_, p) in stored.items()
    }


def _right(process: Process, record: Record) -> int:
    """Return how many labels of a record's test part its chosen predictions get right."""
    predictions = [made for (_, point), (_, made) in process.stored[record.cell.key].items() if point == record.chosen]
    return int((predictions[-1].y_pred == process.tested[record.cell.repeat].y).sum())


def _foreseen(label: str, processes: Sequence[Process], own: Sequence[Sequence[Record]]) -> AuditFinding:
    """Return whether a repeat's labels, which are coin tosses, were predicted better than chance allows."""
    hits = [_right(process, record) for process, records in zip(processes, own) for record in records]
    n = len(processes[0].tested[0])
    tail = sum(math.comb(n, k) for k in range(max(hits), n + 1)) / 2**n
    result = FOUND if tail < LEVEL else CLEAR
    return AuditFinding(label, "coin tosses predicted", result, f"{', '.join(map(str, hits))} of {n} (30 by chance)")


def _wrongly_recorded(process: Process, names: Collection[str], metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield false statements in the records of methods: a replaced function also affects a neighbour's records."""
    for record in (record for record in process.records if record.status == DONE and record.cell.method.name in names):
        tested, who = process.tested[record.cell.repeat], record.cell.method.name
        for (step, point), (truth, predictions) in process.stored[record.cell.key].items():
            if not np.array_equal(truth.y, tested.y) or not np.array_equal(truth.group, tested.group):
                yield f"the labels or groups stored for {who} are not those that were made"
            expected = measure(tested, predictions, metrics, step=step, point=point)
            recorded = {value[:4]: value.value for value in record.values}
            for value in expected:
                seen = recorded.get(value[:4])
                if seen != value.value:
                    yield f"{value.metric} of {who} is recorded as {seen}, but its predictions give {value.value}"

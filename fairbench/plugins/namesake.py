"""Warnings about another project's distribution ``fairbench``, whose package has our name and overwrites our files."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ADVICE = (
    "run 'pip uninstall fairbench', then 'pip install --force-reinstall --no-deps fairbench-harness'; "
    "what needs this fairbench must depend on 'fairbench-harness'"
)
_THEIRS = re.compile(r"fairbench(-(?P<version>[^-]+?)(-py[\d.]+)?)?\.(dist|egg)-info", re.IGNORECASE)
_OURS = re.compile(r"fairbench_harness-[^-]+\.dist-info", re.IGNORECASE)
_REQUIREMENT = re.compile(r"\s*fairbench(?![\w.-])", re.IGNORECASE)


def namesake_warning() -> str:
    """Return what is wrong and how to fix it if the other distribution is also installed, else nothing."""
    found = list(_folders(_THEIRS))
    if not found:
        return ""
    match = _THEIRS.fullmatch(found[0].name)
    version = (match and match["version"]) or ""
    lost = sorted(name for about in _folders(_OURS) for name in _overwritten(about))
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    harm = f", which has overwritten {lost[0]}{more} of fairbench-harness" if lost else ""
    return (
        f"the distribution {' '.join(filter(None, ['fairbench', version]))} of another project is installed too "
        f"({found[0].parent}){harm}; both bring the package 'fairbench': {ADVICE}"
    )


def requires_namesake(requirements: list[str]) -> bool:
    """Return whether one of a distribution's requirements is the other project's distribution."""
    return any(_REQUIREMENT.match(requirement) for requirement in requirements)


def _folders(name: re.Pattern[str]) -> Iterator[Path]:
    """Yield the folders on the path that describe an installed distribution of this name; only names are read."""
    for place in dict.fromkeys(sys.path):
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for found in names:
            path = Path(place, found)
            if name.fullmatch(found) and any((path / file).is_file() for file in ("METADATA", "PKG-INFO")):
                yield path


def _overwritten(about: Path) -> Iterator[str]:
    """Yield the modules of our distribution that are not what its record says."""
    try:
        lines = (about / "RECORD").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        name, _, rest = line.partition(",")
        digest = rest.partition(",")[0].partition("sha256=")[2]
        if name.startswith("fairbench/") and name.endswith(".py") and digest:
            try:
                content = (about.parent / name).read_bytes()
            except OSError:
                content = b""
            seen = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            if seen != digest:
                yield name

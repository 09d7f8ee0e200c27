"""What the site's pages hold that their files do not: components, and what lies outside this folder.

A line ``<!-- components: methods -->`` becomes the description of every component of the kind, read from the registry.
A page in ``ELSEWHERE`` is a file of the repository. A link that leaves the folder leads to the repository if the
environment names one, as GitHub's workflows do; otherwise only its text stays.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from fairbench.notation import plain, show_params, show_value
from fairbench.plugins.group_use import shown_use
from fairbench.plugins.kinds import KINDS
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.parameters import describe_parameters
from fairbench.plugins.registry import Registry, describe, docstring
from fairbench.texts import escape_markdown

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md", "security": "SECURITY.md"}
MARK = re.compile(r"^<!-- components: (\w+) -->$", flags=re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")
SECTIONS = {"Args": "", "Returns": "Returns", "Raises": "Raises", "References": "Sources"}
FENCED = re.compile(r"(^ *```.*?^ *```$|``.*?``|`[^`\n]*`(?!\]))", flags=re.MULTILINE | re.DOTALL)


def expand(app: Any, docname: str, source: list[str]) -> None:
    """Replace a page's text by what the site shows (the event ``source-read``)."""
    text, place = source[0], f"docs/{docname}.md"
    if docname in ELSEWHERE:
        place = ELSEWHERE[docname]
        text = (ROOT / place).read_text(encoding="utf-8")
    text = MARK.sub(lambda mark: components(_registry(), mark[1]), text)
    here = posixpath.dirname(f"docs/{docname}")
    source[0] = "".join(
        part if number % 2 else LINK.sub(lambda link: _linked(link, place, here), part)
        for number, part in enumerate(FENCED.split(text))
    )


def _linked(link: re.Match[str], place: str, here: str) -> str:
    """Return a link as it must be on a page in the folder ``here``, of a text from the file ``place``."""
    label, (path, hash_mark, anchor) = link[1], link[2].partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), path)) if path else place
    pages = {file: f"docs/{name}.md" for name, file in ELSEWHERE.items()}
    target = pages.get(target, target)
    if target.startswith("docs/"):  # if nothing is there, Sphinx says so
        return f"[{label}]({posixpath.relpath(target, here)}{hash_mark}{anchor})"
    server, repository = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY"))
    if not repository:
        return label
    return f"[{label}]({server}/{repository}/blob/{os.environ.get('GITHUB_SHA', 'main')}/{target}{hash_mark}{anchor})"


def _registry() -> Registry:
    return load_plugins()[0]


def components(registry: Registry, kind: str) -> str:
    """Return a section for each component of a kind, in Markdown."""
    return "\n\n".join(_component(registry, kind, name) for name in registry.names(kind))


def _component(registry: Registry, kind: str, name: str) -> str:
    component = registry.get(kind, name)
    text = describe(component) if kind == "papers" else docstring(component)
    parts = [f"## `{name}`", _prose(text), *_facts(kind, component)]
    rows = [_row(row) for row in describe_parameters(component)]
    if rows:
        parts.append("\n".join(["| parameter | default | meaning | source |", "| --- | --- | --- | --- |", *rows]))
    module = registry.origin(kind, name).name
    parts.append(f"`fairbench show {KINDS[kind].singular} {name}` says the same; from `{module}`.")
    return "\n\n".join(filter(None, parts))


def _facts(kind: str, component: Any) -> list[str]:
    """Return what is particular to a kind, as a list in Markdown."""
    found = []
    if kind == "methods":
        found.append(f"Uses the group: {shown_use(component)}")
        grid = [show_params(entry) or "as it is" for entry in getattr(component, "grid", ())]
        found += [f"Presets of `tuned`: {'; '.join(f'`{entry}`' for entry in grid)}"] if grid else []
        ranges = getattr(component, "ranges", {})
        found += (
            [f"Ranges of `search`: {'; '.join(_range(name, space) for name, space in ranges.items())}"]
            if ranges
            else []
        )
    if kind == "metrics":
        low, high = component.range
        found.append(f"Better: {component.better}; between {low:g} and {high:g}")
    if kind in ("metrics", "papers") and component.reference:
        found.append(f"Source: {escape_markdown(component.reference)}")
    if kind == "datasets":
        names = getattr(component, "sensitive_features", ())
        found += (
            [f"Sensitive attributes: {', '.join(f'`{name}`' for name in names)}"] if isinstance(names, tuple) else []
        )
        licence = getattr(component, "licence", "")
        found += [f"Licence: {escape_markdown(licence)}"] if isinstance(licence, str) and licence else []
    return ["**Facts**", "\n".join(f"- {line}" for line in found)] if found else []


def _range(name: str, space: Any) -> str:
    described = plain(space.described)
    source = f" ({escape_markdown(described['source'])})" if described["source"] else ""
    return f"`{name} {described['text']}`{source}"


def _row(row: dict[str, Any]) -> str:
    """Return a parameter's line of the table."""
    limits = [" | ".join(map(show_value, row["choices"]))] if row["choices"] else []
    limits += [f"at least {row['minimum']}"] if row["minimum"] is not None else []
    limits += [f"at most {row['maximum']}"] if row["maximum"] is not None else []
    meaning = " ".join(filter(None, [str(row["help"]), f"({'; '.join(limits)})" if limits else ""]))
    default = "required" if row["required"] else escape_markdown(show_value(row["default"]))
    return f"| `{row['name']}` | {default} | {escape_markdown(meaning)} | {escape_markdown(str(row['source']))} |"


def _prose(text: str) -> str:
    """Return a docstring as Markdown; its sections become lists, without what every function of a kind is given."""
    parts = []
    for paragraph in text.split("\n\n"):
        heading, _, rest = paragraph.partition(":\n    ")
        if heading not in SECTIONS:
            parts.append(_escaped(paragraph))
        elif SECTIONS[heading]:
            items = re.split(r"\n {4}(?=\S)", rest)
            parts.append(
                "\n".join(
                    [f"**{SECTIONS[heading]}**", "", *(f"- {_escaped(' '.join(item.split()))}" for item in items)]
                )
            )
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Return text with code as it is, and what Markdown would read as markup escaped."""
    kept = re.split(r"(``.*?``)", text, flags=re.DOTALL)
    return "".join(
        part if number % 2 else re.sub(r"([*_<\[\]#|$~])", r"\\\1", part) for number, part in enumerate(kept)
    )


def show_examples(app: Any, context: Any, lines: list[str]) -> None:
    """Show a command's examples as code (the event ``sphinx-click-process-epilog``)."""
    shown = [line.replace("| Examples:", ".. code-block:: console\n").replace("|   ", "   ", 1) for line in lines]
    lines[:] = [part for line in shown for part in line.split("\n")]


def setup(app: Any) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", expand)
    app.connect("sphinx-click-process-epilog", show_examples)
    return {"parallel_read_safe": True}

"""The commands about components and plugins: list, show, check, completion."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import click

from fairbench.choices import METRIC_ALIASES
from fairbench.cli.commands import Command
from fairbench.cli.options import (
    NamedChoice,
    complete_name,
    data_dir_option,
    examples,
    folded,
    json_option,
    plugin_option,
    print_rows,
    say,
)
from fairbench.cli.own import declared_data, own_data_options
from fairbench.notation import plain, show_params, show_value
from fairbench.plugins.kinds import KINDS

if TYPE_CHECKING:
    from fairbench.cells import Choice
    from fairbench.data.own.declaration import OwnData
    from fairbench.plugins.components import Paper

_SINGULAR = {kind.singular: plural for plural, kind in KINDS.items()}
_SHOWN = {
    "metric": ("better", "range", "reference"),
    "paper": ("reference",),
    "method": ("is_reference", "grid", "ranges"),
}


@click.command(
    "list",
    cls=Command,
    epilog=examples(
        "fairbench list methods",
        "fairbench list datasets --json",
    ),
)
@click.argument("kind", type=NamedChoice(list(KINDS)))
@json_option
@plugin_option
def list_components(kind: str, as_json: bool, plugin: tuple[str, ...]) -> None:
    """List the components of a KIND.

    Each is described in one sentence, with the plugin that provides it; of a method, "group" is where it uses the group
    of a row.
    """
    from fairbench.cli.completion import remember_names
    from fairbench.plugins.group_use import shown_use
    from fairbench.plugins.loading import load_plugins
    from fairbench.plugins.registry import describe

    registry, _ = load_plugins(plugin)
    if not plugin:
        remember_names({kind: registry.names(kind) for kind in KINDS})
    rows = []
    for name in registry.names(kind):
        required = registry.required(kind, name)
        needs = f" (needs {', '.join(required)})" if required else ""
        component = registry.get(kind, name)
        group = {"group": shown_use(component)} if kind == "methods" else {}
        rows.append(
            {"name": name, "what": describe(component) + needs, **group, "plugin": registry.origin(kind, name).name}
        )
    print_rows(rows, as_json)


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench show method faalgrad",
        "fairbench show dataset adult --json",
        "fairbench show dataset --data loans.csv --label paid --group sex",
    ),
)
@click.argument("kind", type=NamedChoice([*_SINGULAR]))
@click.argument("name", required=False, shell_complete=complete_name())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--group", multiple=True, metavar="COLUMN", help="Of --data: the columns whose groups are compared.")
@own_data_options
@data_dir_option
@plugin_option
def show(
    kind: str, name: str | None, as_json: bool, data_dir: Path | None, plugin: tuple[str, ...], **options: Any
) -> None:
    """Show a component and its parameters.

    Parameters come with default, meaning and source; the plugin that provides the component is named too. Of a dataset,
    which can be given with parameters, its licence, where its files come from, and, if they are there (nothing is
    downloaded), its rows, features, groups, duplicates and the smallest gap that it can show.
    """
    from fairbench.cli.datasets import described_dataset, print_dataset
    from fairbench.plugins.group_use import shown_use
    from fairbench.plugins.loading import load_plugins
    from fairbench.plugins.parameters import describe_parameters
    from fairbench.plugins.registry import describe, docstring

    own = _own_of(kind, name, options)
    name = own.name if own else name
    if name is None:
        raise click.UsageError(f"Give the name of a {kind}" + (", or --data." if kind == "dataset" else "."))
    tables = (own,) if own else ()
    registry, _ = load_plugins(plugin, own=tables)
    typed = "--data ..." if own else name
    if kind == "dataset":
        choice = _one_choice(name)
        name = choice.name
    component = registry.get(_SINGULAR[kind], name)
    origin = registry.origin(_SINGULAR[kind], name)
    rows = describe_parameters(component)
    text = describe(component) if kind == "paper" else docstring(component)
    extra = {key: getattr(component, key) for key in _SHOWN.get(kind, ()) if hasattr(component, key)}
    if kind == "metric":
        name = component.name  # dp was typed, perhaps
        aliases = [alias for alias, metric in METRIC_ALIASES.items() if metric == name]
        extra = {**({"alias": ", ".join(aliases)} if aliases else {}), **extra}
    if kind == "method":
        extra = {"uses_group": shown_use(component), **extra}
    if "grid" in extra:
        extra["grid"] = plain(extra["grid"])
    if "ranges" in extra:
        extra["ranges"] = {name: plain(space.described) for name, space in extra["ranges"].items()}
    parts = paper_parts(component) if kind == "paper" else []
    dataset: dict[str, Any] = {}
    if kind == "dataset":
        dataset = described_dataset(choice, data_dir, plugin, tables)
    if as_json:
        shown = {
            "kind": kind,
            "name": name,
            "plugin": str(origin),
            "text": text,
            **extra,
            **dataset,
            "parameters": rows,
        }
        click.echo(json.dumps({**shown, "parts": parts} if parts else shown))
        return
    say(folded(f"{name} ({kind}, from {origin})\n\n{text}\n"), err=False)
    for key, value in extra.items():
        say(folded(f"{key}: {_LINES[key](value) if key in _LINES else value}"), err=False)
    if dataset:
        print_dataset(typed, dataset)
    if rows or parts:
        print_rows(parts or [_readable(row) for row in rows], as_json=False)


def _own_of(kind: str, name: str | None, options: dict[str, Any]) -> OwnData | None:
    """Return the table of the user's own that is to be shown; None if it is another component.

    Raises:
        UsageError: the options do not belong to what is shown.
    """
    own = declared_data(options)
    if own is None and options["group"]:
        raise click.UsageError("--group says something of a table of your own; add --data FILE.")
    if own is not None and (kind != "dataset" or name not in (None, own.name)):
        raise click.UsageError(f"--data is the dataset {own.name}; write 'fairbench show dataset --data ...'.")
    return own


def _one_choice(text: str) -> Choice:
    """Return the dataset that was typed, which can have parameters.

    Raises:
        UsageError: more than one was.
    """
    from fairbench.choices import parse_choices

    choices = parse_choices(text)
    if len(choices) != 1:
        raise click.UsageError(f"{text!r} stands for {len(choices)} datasets; show one at a time.")
    return choices[0]


def _configurations(grid: Sequence[Mapping[str, object]]) -> str:
    """Return the configurations of a grid on one line, as they are typed on the command line."""
    return " | ".join(show_params(entry) or "as it is" for entry in grid)


def _ranges(ranges: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the ranges of a method's parameters on one line, with their sources."""
    return "; ".join(
        f"{name} {space['text']}{' (' + space['source'] + ')' if space['source'] else ''}"
        for name, space in ranges.items()
    )


_LINES: Mapping[str, Callable[[Any], str]] = {"grid": _configurations, "ranges": _ranges}


def paper_parts(paper: Paper) -> list[dict[str, str]]:
    """Return a paper's tables and figures, as ``fairbench reproduce`` names them."""
    from fairbench.papers.published import read_published
    from fairbench.papers.rerun import read_rerun

    published = read_published(paper)
    tables = {name: table.title for name, table in published.tables.items()}
    figures = {name: figure.title for name, figure in read_rerun(paper, published).figures.items()}
    return [{"part": name, "what": title} for name, title in {**tables, **figures}.items()]


def _readable(row: dict[str, object]) -> dict[str, object]:
    """Return a parameter's row with its limits in words."""
    limits = []
    if row["choices"]:
        limits.append(" | ".join(map(show_value, row["choices"])))  # type: ignore[call-overload]  # a list here
    if row["minimum"] is not None:
        limits.append(f"at least {row['minimum']}")
    if row["maximum"] is not None:
        limits.append(f"at most {row['maximum']}")
    meaning = " ".join(filter(None, [str(row["help"]), f"({'; '.join(limits)})" if limits else ""]))
    default = "required" if row["required"] else show_value(row["default"])
    return {"parameter": row["name"], "default": default, "meaning": meaning, "source": row["source"]}


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench check acme_gap.py",
        "fairbench check fairbench_baselines",
    ),
)
@click.argument("plugin")
@json_option
def check(plugin: str, as_json: bool) -> int:
    """Check that a plugin follows the rules.

    Every component of PLUGIN (a file, package or module) must follow the rules that the harness relies on.
    """
    from fairbench.plugins.loading import load_plugins
    from fairbench.testing import check_plugin

    registry, _ = load_plugins((plugin,) if plugin.endswith(".py") else ())
    rows = [
        finding._asdict()
        for finding in check_plugin(registry, os.path.abspath(plugin) if plugin.endswith(".py") else plugin)
    ]
    print_rows(rows, as_json)
    return 1 if any(row["result"] == "failed" for row in rows) else 0


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench completion bash >> ~/.bashrc",
        "fairbench completion fish > ~/.config/fish/completions/fairbench.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script for SHELL.

    It completes commands, options and component names.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the three shells are click's own
    click.echo(found(click.get_current_context().find_root().command, {}, "fairbench", "_FAIRBENCH_COMPLETE").source())

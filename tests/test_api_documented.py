"""Every name that a plugin may import says what it is and names its arguments; docs/plugins-api.md lists them all."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import typing
from pathlib import Path

import pytest

import fairbench.api
import fairbench.plugins.hooks
from fairbench.plugins.hooks import HOOKS

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "plugins-api.md"
REWRITE = "UPDATE_DOCS"
MODULES = ["fairbench.api"] + [
    name
    for name in (f"fairbench.api.{module.name}" for module in pkgutil.iter_modules(fairbench.api.__path__))
    if hasattr(importlib.import_module(name), "__all__")
]
NAMES = [(module, name) for module in MODULES for name in sorted(importlib.import_module(module).__all__)]
INTRODUCTION = f"""# The plugin API

Everything that a plugin may import, by module. These names keep their meaning until `API_VERSION` rises; a plugin
can declare the version that it was written for with `FAIRBENCH_API = {fairbench.api.API_VERSION}`. The README shows a
complete plugin, and [writing-plugins.md](writing-plugins.md) leads through the writing of one.

This page is generated from the docstrings (`{REWRITE}=1 pytest tests/test_api_documented.py` rewrites it); `help()`
shows the whole docstring, with shapes, units and errors. Arguments in brackets have a default.
"""


def tree(module):
    return ast.parse(Path(importlib.import_module(module).__file__).read_text(encoding="utf-8")).body


def said_of_value(module, name):
    """Return the text under an assignment to a name, in the module or where the module has the name from."""
    body = tree(module)
    for node, after in zip(body, body[1:]):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        several = [part for target in targets for part in getattr(target, "elts", [target])]
        if name in [getattr(target, "id", None) for target in several]:
            text = after.value if isinstance(after, ast.Expr) else None
            return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    for node in body:
        if isinstance(node, ast.ImportFrom) and name in [alias.asname or alias.name for alias in node.names]:
            return said_of_value(node.module, name)
    return ""


def is_class(member):
    return inspect.isclass(member) and not typing.get_origin(member)  # an alias such as list[int] is a type on 3.9


def is_protocol(member):
    return getattr(member, "_is_protocol", False)


def docstring(module, name):
    """Return what is said of a name; nothing for the text that a dataclass without a docstring is given."""
    member = getattr(importlib.import_module(module), name)
    if not is_class(member) and not inspect.isfunction(member):
        return said_of_value(module, name)
    text = inspect.getdoc(member) if member.__doc__ else ""
    return "" if text.startswith(f"{name}(") else text


def arguments(function):
    """Return the parameters of a function or class that have names of their own."""
    if inspect.isclass(function) and (is_protocol(function) or issubclass(function, BaseException)):
        return []
    found = [given for given in inspect.signature(function).parameters.values() if given.name not in ("self", "cls")]
    return [] if [given.name for given in found] == ["args"] else found  # what torch's own modules are made of


def methods(cls):
    """Yield the public functions of a class, by name."""
    for name, member in vars(cls).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        function = getattr(function, "func", function)  # a cached property's
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def unnamed(function, text):
    return [given.name for given in arguments(function) if not re.search(rf"\b{given.name}\b", text)]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_every_name_of_the_api_says_what_it_is_and_names_its_arguments(module, name):
    text, member = docstring(module, name), getattr(importlib.import_module(module), name)
    assert text, "write a docstring; under a constant or an alias, a text"
    if inspect.isfunction(member):
        assert unnamed(member, text) == []
    elif is_class(member):
        made = inspect.getdoc(member.__init__) or "" if "__init__" in vars(member) else ""
        assert unnamed(member, text + made) == []
        for label, function in methods(member):
            assert inspect.getdoc(function), label
            assert unnamed(function, inspect.getdoc(function)) == [], label


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_returns_and_when_it_is_called(hook):
    text = inspect.getdoc(getattr(fairbench.plugins.hooks, hook))
    assert text.startswith("Return ")
    assert "; called once when the plugin is loaded." in text
    assert set(re.findall(r"``(\w+)``", text)) <= set(fairbench.api.__all__)  # what they must be
    assert "``" in text


def first_line(text):
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def shown_arguments(function):
    given = arguments(function)
    several = inspect.Parameter.VAR_POSITIONAL
    needed = [f"{'*' * (one.kind == several)}{one.name}" for one in given if one.default is one.empty]
    optional = [one.name for one in given if one.default is not one.empty]
    return ", ".join([*needed, *([f"[{', '.join(optional)}]"] if optional else [])])


def row(module, name):
    """Return a name's line of the table: kind, what it is, and its arguments (of a protocol: what it has)."""
    member = getattr(importlib.import_module(module), name)
    text = docstring(module, name)
    if inspect.isfunction(member):
        kind, shown = "function", shown_arguments(member)
    elif not is_class(member):
        kind, shown = "value", ""
    elif is_protocol(member):
        declared = [label for label in vars(member).get("__annotations__", {}) if not label.startswith("_")]
        called = [
            label if isinstance(vars(member)[label], property) else f"{label}({shown_arguments(function)})"
            for label, function in methods(member)
        ]
        kind, shown = "protocol", ", ".join([*declared, *called])
    else:
        kind, shown = "error" if issubclass(member, BaseException) else "class", shown_arguments(member)
    return f"| `{name}` | {kind} | {first_line(text)} | {f'`{shown}`' if shown else ''} |"


def table(first, rows):
    return [f"| {first} | kind | what it is | arguments |", "| --- | --- | --- | --- |", *rows, ""]


def document():
    """Return what docs/plugins-api.md must hold."""
    lines = [INTRODUCTION, "## Hooks", "", "| hook | what it returns |", "| --- | --- |"]
    texts = {hook: inspect.getdoc(getattr(fairbench.plugins.hooks, hook)) for hook in HOOKS}
    lines += [f"| `{hook}` | {first_line(text)} |" for hook, text in texts.items()]
    lines.append("")
    for module in MODULES:
        about = first_line(importlib.import_module(module).__doc__)
        rows = [row(module, name) for place, name in NAMES if place == module]
        lines += [f"## `{module}`", "", about, "", *table("name", rows)]
    return "\n".join(lines)


def test_the_document_lists_the_api_as_it_is():
    if os.environ.get(REWRITE):
        DOCUMENT.write_text(document(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == document(), (
        f"{REWRITE}=1 pytest {Path(__file__).name} writes it anew"
    )

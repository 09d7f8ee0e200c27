"""The site's own extension: components come from the registry, and links that leave the folder do not break."""

from __future__ import annotations

import importlib.util
import types
from pathlib import Path

import pytest

from fairbench.plugins.kinds import KINDS
from fairbench.plugins.loading import load_plugins

DOCS = Path(__file__).parents[1] / "docs"
REGISTRY = load_plugins()[0]
NAMES = {kind: REGISTRY.names(kind) for kind in KINDS}  # tests in the same process add components of their own


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("pages", DOCS / "_ext" / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_a_section_on_the_page_of_its_kind(pages, kind):
    (page,) = [path for path in (DOCS / "reference").glob("*.md") if f"<!-- components: {kind} -->" in path.read_text()]
    source = [page.read_text(encoding="utf-8")]
    pages.expand(None, f"reference/{page.stem}", source)
    assert "<!-- components" not in source[0]
    assert [name for name in NAMES[kind] if f"\n## `{name}`\n" not in source[0]] == []


def test_a_component_is_shown_with_parameters_presets_limits_and_sources(pages):
    text = pages.components(REGISTRY, "methods").partition("## `adversarial_debiasing`")[2].partition("\n## ")[0]
    assert "- Uses the group: training" in text
    assert "Presets of `tuned`: `alpha=0.0`" in text
    assert (
        "| `activation` | relu | activation function after each hidden layer (relu \\| tanh) | Malik &amp; Mopuri"
        in text
    )
    assert "**Sources**\n\n- Zhang, Lemoine and Mitchell (2018)" in text
    assert "proj\\_a(g)" in text


def test_sections_of_docstrings_become_lists_and_arguments_are_left_out(pages):
    text = "Say a_b.\n\nArgs:\n    x: one.\n    y: two\n        lines.\n\nReturns:\n    What ``x_y`` *is*."
    assert pages._prose(text) == "Say a\\_b.\n\n**Returns**\n\n- What ``x_y`` \\*is\\*."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](verdicts.md#the-lines)", "[a](verdicts.md#the-lines)"),
        ("[a](../CONTRIBUTING.md)", "[a](contributing.md)"),
        ("[a](../fairbench/errors.py#L3)", "a"),
        ("`[a](../x.py)` [b](https://example.org)", "`[a](../x.py)` [b](https://example.org)"),
        ("![a](scaling/workers.png)", "![a](scaling/workers.png)"),
    ],
)
def test_links_that_leave_the_folder_are_kept_as_text(pages, monkeypatch, text, expected):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    source = [text]
    pages.expand(types.SimpleNamespace(), "store", source)
    assert source == [expected]


def test_links_that_leave_the_folder_lead_to_the_repository_where_one_is_named(pages, monkeypatch):
    for name, value in (("SERVER_URL", "https://example.org"), ("REPOSITORY", "us/it"), ("SHA", "abc")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    source = ["[a](../../fairbench/errors.py#L3)"]
    pages.expand(None, "tutorials/reviewer", source)
    assert source == ["[a](https://example.org/us/it/blob/abc/fairbench/errors.py#L3)"]


def test_pages_whose_file_lies_elsewhere_show_that_file(pages):
    source = ["stub"]
    pages.expand(None, "contributing", source)
    assert source[0].startswith("# Contributing\n\n```sh\n")
    assert "(architecture.md)" in source[0]
    assert "(security.md)" in source[0]

"""A plugin that says which version of the API it was made for is loaded, or refused with advice."""

from __future__ import annotations

import importlib
import sys

import pytest

import fairbench.plugins.made_for as made_for
from fairbench import __version__
from fairbench.api import API_VERSION
from fairbench.errors import PluginError
from fairbench.plugins import loading
from fairbench.plugins.loading import EntryPoint, load_plugins

METRIC = '''
from fairbench.api import Metric, hookimpl

def nothing(samples, predictions):
    """Return 0."""
    return 0.0

@hookimpl
def fairbench_metrics():
    return [Metric("nothing", nothing)]
'''
NEWER = (
    f"it was made for version 99 of the plugin API, and fairbench-harness {__version__} has version {API_VERSION}; "
    "upgrade with: pip install --upgrade fairbench-harness"
)


def loaded(tmp_path, text):
    """Load one local file; return the registry's metrics."""
    file = tmp_path / "plugin.py"
    file.write_text(text)
    return load_plugins([str(file)])[0].names("metrics")


@pytest.mark.parametrize("line", ["", f"FAIRBENCH_API = {API_VERSION}\n"])
def test_one_of_this_api_or_without_a_word_is_taken(tmp_path, line):
    assert "nothing" in loaded(tmp_path, line + METRIC)


@pytest.mark.parametrize(
    "text",
    [
        "FAIRBENCH_API = 99\n" + METRIC,
        "FAIRBENCH_API = 99\nfrom fairbench.api import what_is_not_there_yet\n",
        "FAIRBENCH_API: int = 99  # for the new hook\nimport fairbench.api.not_yet\n",
        METRIC.replace("fairbench_metrics", "fairbench_not_yet") + "FAIRBENCH_API = 99\n",
    ],
)
def test_one_for_a_newer_api_says_what_to_do_whatever_it_fails_at(tmp_path, text):
    with pytest.raises(PluginError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value).endswith(f"plugin.py: {NEWER}")


def test_one_for_an_api_that_is_gone_is_broken_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(made_for, "API_VERSION", 5)
    monkeypatch.setattr(made_for, "OLDEST_API", 3)
    assert "nothing" in loaded(tmp_path, "FAIRBENCH_API = 3\n" + METRIC)
    with pytest.raises(PluginError, match=r"made for version 2 of the plugin API.* takes versions from 3 on; look for"):
        loaded(tmp_path, "FAIRBENCH_API = 2\n" + METRIC)


@pytest.mark.parametrize("value", ["'1'", "True", "1.0"])
def test_what_is_no_whole_number_is_refused(tmp_path, value):
    with pytest.raises(PluginError, match=r"FAIRBENCH_API is .*; it must be a whole number, e.g. 1"):
        loaded(tmp_path, f"FAIRBENCH_API = {value}\n" + METRIC)


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        loaded(tmp_path, f"FAIRBENCH_API = {API_VERSION}\n1 / 0\n")


@pytest.mark.parametrize("broken", [False, True])
def test_a_package_for_a_newer_api_is_one_problem_and_not_broken(tmp_path, monkeypatch, broken):
    package = f"newer_package_{broken}".lower()
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("FAIRBENCH_API = 99\n" + "import not_there\n" * broken)
    (tmp_path / package / "one.py").write_text(METRIC)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.setattr(loading, "entry_points", lambda places: [EntryPoint("newer", package, "acme", "1.0")])
    registry = loading._load.__wrapped__((), ())
    assert [(str(plugin), plugin.problem, plugin.state) for plugin in registry.problems] == [
        (f"{package} (acme 1.0)", NEWER, "unavailable")
    ]
    sys.modules.pop(package, None)

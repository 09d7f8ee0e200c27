"""Executors of strangers that do not keep the protocol: refused in words, when they are loaded or when they answer."""

from __future__ import annotations

import pytest

import fairbench
from fairbench.errors import PluginError

PLUGIN = """
from dataclasses import dataclass
from fairbench.api import hookimpl

@dataclass(frozen=True)
class Own:
    name = "own"

    def map(self, function, items{limits}):
        for item in items:
            yield item, function(item)

@hookimpl
def fairbench_executors():
    return [Own]
"""


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("", r"executor Own: map must take \(function, items, limits\)"),
        (", limits", r"executor own yielded tuple; map must yield fairbench\.api\.Ended"),
        (
            ", limits):\n        return list(items)\n    def other(self",
            "executor own returned list; map must be a generator",
        ),
    ],
)
def test_it_is_refused_in_words(tmp_path, monkeypatch, limits, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(PLUGIN.format(limits=limits))
    given = {"methods": "constant", "datasets": "synthetic[rows=300]", "repeats": 1, "quiet": True, "out": "r"}
    with pytest.raises(PluginError, match=message):
        fairbench.run(plugins="own.py", executor="own", **given)

"""Runs of which pages are made, and what an independent parser sees on a page."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from stored_runs import DP, coin_of, drawn_parts, noisy, stored_run, unfair

from fairbench.api import Predictions, Results
from fairbench.cells import Cell, Choice
from fairbench.data.counts import supports
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Parts, Record
from fairbench.running.outcomes import measure
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.truth import Truth

SCRIPT, CHINESE = "<script>alert(1)</script>", "\u516c\u5e73\u65b9\u6cd5"
VOID = {"meta", "link", "br", "input", "wbr", "img", "hr"}
REGISTRY = load_plugins()[0]


def fair(repeat, samples):
    """Return a method that is accurate and selects the groups as their labels say, far above the coin."""
    return noisy(samples, flips=0.02, seed=repeat)


def bad(repeat, samples):
    """Return a method that is worse than the coin."""
    return noisy(samples, flips=0.45, seed=200 + repeat, select=[0.0, 0.3])


def nobody(repeat, samples):
    """Return a method that selects nobody."""
    return Predictions(np.zeros(len(samples), dtype=int))


def fails(repeat, samples):
    """Return nothing: the cell fails."""


METHODS = {
    "mlp": unfair,
    "fair_maml": fair,
    "tree": bad,
    "boosting": coin_of(0.5),
    "ffml[epochs=3]": nobody,
    "cnn": fails,
}


def small_run(path: Path, *, repeats: int = 5, methods=None, datasets: Sequence[str] = ("german",)) -> Results:
    """Return a run in which one method is above the coin, one below, one collapsed, and one failed."""
    tests = {name: drawn_parts(repeats=repeats, rows=400) for name in datasets}
    return stored_run(path, METHODS if methods is None else methods, tests, baseline="mlp", references=())


def hostile_run(path: Path, repeats: int = 2) -> Results:
    """Return a run of a method named ``SCRIPT`` and of one with a Chinese name, on groups that are called likewise."""
    metrics = [REGISTRY.metric(name) for name in ("accuracy", DP)]
    parts, records = drawn_parts(repeats=repeats), []
    with Store(path / FILE_NAME, create=True) as store:
        for repeat, samples in enumerate(parts):
            for place, name in enumerate(("mlp", SCRIPT, CHINESE)):
                cell = Cell(Choice(CHINESE), Choice(name, {"what": SCRIPT}), SCRIPT, repeat)
                decided = noisy(samples, flips=0.1 + 0.05 * place, seed=repeat)
                record = Record(
                    cell,
                    DONE,
                    values=tuple(measure(samples, decided, metrics)),
                    parts=Parts(1400, 300, 300),
                    supports=supports(samples.group, samples.group_names),
                )
                store.add(Measured(record, {(0, ""): (Truth.of(samples), decided)}))
                records.append(record)
    labels = {metric.name: (metric.label, metric.better) for metric in metrics}
    run = {"suite": {"baseline": "mlp", "name": SCRIPT}, "reference_methods": []}
    return Results(records, run, len(records), labels, path)


class Page(HTMLParser):
    """What is on a page: elements as (tag, attributes, text), in the order of their ends."""

    def __init__(self, text: str) -> None:
        """Read the text of a page."""
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str], str]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Keep an element that opens."""
        if tag in VOID:
            self.elements.append((tag, dict(attrs), ""))
        else:
            self._open.append((tag, dict(attrs), []))

    def handle_startendtag(self, tag, attrs):
        """Keep an element without content, such as a line of a plot."""
        self.elements.append((tag, dict(attrs), ""))

    def handle_data(self, data):
        """Keep text, which belongs to all open elements."""
        for _, _, texts in self._open:
            texts.append(data)

    def handle_endtag(self, tag):
        """Keep an element that closes; elements must be closed in order."""
        opened, attributes, texts = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        self.elements.append((tag, attributes, " ".join("".join(texts).split())))
        if tag in ("td", "th", "p", "h2", "dt"):
            self.handle_data(" ")  # their texts do not run into each other

    @property
    def still_open(self) -> list[str]:
        """Return the elements that were not closed."""
        return [tag for tag, _, _ in self._open]

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str], str]]:
        """Return attributes and text of the elements with this tag and these attributes; a class is one of several."""
        return [
            (found, text)
            for name, found, text in self.elements
            if name == tag and all(value in found.get(key.rstrip("_"), "").split() for key, value in attributes.items())
        ]

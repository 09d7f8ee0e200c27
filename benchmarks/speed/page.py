"""The page of a run: its size, the time to make it, and the time until a browser shows it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from _timing import Row, alternately
from fairbench_reports import html
from verdicts import drawn_rows, predicted

from fairbench.cells import Cell, Choice
from fairbench.data.counts import supports
from fairbench.plugins.loading import load_plugins
from fairbench.records import DONE, Parts, Record, Results
from fairbench.running.outcomes import measure as measured
from fairbench.running.packing import Measured
from fairbench.running.store import FILE_NAME, Store
from fairbench.running.truth import Truth

SIZES = {20: (5, 2, 2), 200: (10, 4, 5), 2_000: (20, 10, 10)}  # cells: methods, datasets, repeats
METRICS = (
    *("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "demographic_parity_difference"),
    *("demographic_parity_ratio", "equalized_odds_difference", "equal_opportunity_difference"),
    *("worst_group_accuracy", "selection_rate", "true_positive_rate", "false_positive_rate"),
)
LARGEST, LONGEST = 5.0, 2_000.0  # MB and ms: aims for 2,000 cells
OPENINGS = 5
SHOWN = """const painted = performance.getEntriesByName('first-contentful-paint')[0];
const opened = performance.getEntriesByType('navigation')[0];
return painted && opened.loadEventEnd ? Math.max(painted.startTime, opened.loadEventEnd) : null"""
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def written(folder: Path, methods: int, datasets: int, repeats: int) -> Results:
    """Write a run of made-up predictions, with all the values that a run of the default suite has."""
    registry, _ = load_plugins()
    metrics = [registry.metric(name) for name in METRICS]
    draw, records = np.random.default_rng(0), []
    names = [Choice("mlp"), *(Choice(f"method_{place}", {"strength": place / 10}) for place in range(1, methods))]
    with Store(folder / FILE_NAME, create=True) as store:
        for dataset in range(datasets):
            for repeat in range(repeats):
                samples = drawn_rows(draw)
                truth, groups = Truth.of(samples), supports(samples.group, samples.group_names)
                for method in names:
                    made = predicted(samples, draw)
                    cell = Cell(Choice(f"dataset_{dataset}"), method, "sex", repeat)
                    values = tuple(measured(samples, made, metrics))
                    record = Record(cell, DONE, values=values, parts=Parts(7000, 1500, 1500), supports=groups)
                    store.add(Measured(record, {(0, ""): (truth, made)}))
                    records.append(record)
    labels = {metric.name: (metric.label, metric.better) for metric in metrics}
    run = {"suite": {"repeats": repeats, "name": f"{len(records)} cells"}, "reference_methods": []}
    return Results(records, run, len(records), labels, folder)


def opening(page: Path, folder: Path) -> float | str:
    """Return the milliseconds until headless Chromium has loaded and painted a page, or why that is not known."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        return "needs the programs chromium and chromedriver"
    try:
        from selenium import webdriver
        from selenium.webdriver.support.ui import WebDriverWait
    except ImportError:
        return "needs selenium: pip install selenium"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={folder / 'chromium'}"):
        options.add_argument(option)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        taken = []
        for _ in range(OPENINGS):
            browser.get("about:blank")
            browser.get(page.as_uri())
            taken.append(float(WebDriverWait(browser, 30).until(lambda opened: opened.execute_script(SHOWN))))
        return median(taken)
    finally:
        browser.quit()


def measure(quick: bool) -> Iterator[Row]:
    """Yield size, time to make and time to open of pages of 20, 200 and 2,000 cells."""
    for cells, sizes in SIZES.items():
        if quick and cells > 200:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            results = written(folder, *sizes)
            text = html.render(results)
            page = folder / "page.html"
            page.write_text(text, encoding="ascii")
            curve = {"size": cells, "of": "cells"}
            yield Row("size of the page", len(text) / 1e6, "MB", aim=LARGEST, **curve)
            found = alternately({"page": lambda run=results: html.render(Results(**vars(run)))}, rounds=2)
            yield found["page"].row("making it", "CPU s", **curve)
            shown = opening(page, folder)
            if isinstance(shown, str):
                yield Row("opening it", None, "ms", note=shown)
            else:
                yield Row("opening it", shown, "ms", aim=LONGEST, note=f"median of {OPENINGS}", **curve)

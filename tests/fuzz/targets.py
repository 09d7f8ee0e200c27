"""What is fuzzed: everything that fairbench reads from files and command lines of others, by the API that reads it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pandas as pd
from engine import Reader, Target, Wrong
from mutation import VALUES, changed_json, mutated
from readers import READERS, checked_dataset

from fairbench.analysis.audit import audit_predictions
from fairbench.analysis.audited import Question, read_audited
from fairbench.analysis.bundle import tables
from fairbench.api import Predictions, Samples, Schema
from fairbench.cells import Cell, Choice, canonical
from fairbench.choices import parse_choices
from fairbench.data.own.declaration import declared
from fairbench.data.own.prepared import prepared
from fairbench.errors import SuiteError
from fairbench.notation import plain
from fairbench.papers.claim_files import read_claim_file, suite_path
from fairbench.papers.claim_form import Range
from fairbench.papers.published import read_published
from fairbench.papers.rerun import read_rerun
from fairbench.plugins.components import Paper
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.parameters import describe_parameters, values
from fairbench.plugins.registry import Registry
from fairbench.records import DONE, FAILED, Parts, Record, Value
from fairbench.running import suite as suites
from fairbench.running.checkpoints import Checkpoint, Progress
from fairbench.running.rundir import load_results
from fairbench.running.runfile import RUN_FILE, read_run
from fairbench.running.session import suite_of
from fairbench.running.store import FILE_NAME, Measured, Store, Truth

ROOT = Path(__file__).parents[2]
CELLS = 2_000  # that an input may plan, so that an input takes milliseconds
REPORTS = ("terminal", "markdown", "latex", "csv")
CHOICES = [
    *("faalgrad[split=config1|config2,inner_steps=1|10],threshold", 'a["b"=\'c d\',e=(1,2.5),f={"g":null}]'),
    *("mlp[lr=0.1,epochs=3],logistic", "all", "adult[missing=category]", 'x[y="\\"|,]",z=None,w=()]', "a[b=1e3|true]"),
]


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Return every plugin that is installed here."""
    return load_plugins()[0]


def planned(suite: suites.Suite) -> list[Cell]:
    """Return the cells of a suite, or refuse it if there are many."""
    with patch.object(suites, "MOST_CELLS", CELLS):
        return suites.plan(suite, registry())


def _suite(folder: Path) -> Reader:
    files = [*(ROOT / "benchmarks").glob("*.toml"), *(ROOT / "plugins/fairbench_papers/data").glob("*/t*.toml")]
    seeds = {path.name: path.read_bytes() for path in files}
    seeds["own.toml"] = (
        b'methods = ["constant", "logistic[C=0.1|1]"]\nextends = "default"\ngroup = ["sex", "race,sex"]\nrepeats = 2\n'
        b'[data.loans]\nfile = "loans.csv"\nlabel = "paid"\ngroup = ["sex"]\nfavorable = "yes"\n'
        b'bin = { age = [25, 45] }\nkinds = { zip = "category" }\n[parameters.any.mlp]\nepochs = 3\n'
    )
    path = folder / "suite.toml"

    def read(name: str, content: bytes) -> None:
        path.write_bytes(content)
        for cell in planned(suites.read_suite(path)):
            if Cell.from_json(cell.to_json()) != cell:
                raise Wrong(f"{cell} is another cell when it is read again")

    return Reader(seeds, read)


def _choices(folder: Path) -> Reader:
    def read(name: str, content: bytes) -> None:
        for choice in parse_choices(os.fsdecode(content)):
            plain(choice.params)  # as in every cell: 1e999 can be a text, but is no number
            if [(again.name, again.params) for again in parse_choices(str(choice))] != [(choice.name, choice.params)]:
                raise Wrong(f"{str(choice)!a} is another choice when it is read again")

    return Reader({f"{number}.txt": text.encode() for number, text in enumerate(CHOICES)}, read)


def _parameters(folder: Path) -> Reader:
    """Parameters as ``run.json`` and the store have them: JSON of a component's name and its parameters."""
    seeds = {}
    for kind in ("methods", "datasets", "scenarios"):
        for name in registry().names(kind):
            told = {each["name"]: each["default"] for each in describe_parameters(registry().get(kind, name))}
            seeds[f"{kind}-{name}.json"] = json.dumps({"kind": kind, "name": name, "params": told}).encode()

    def read(name: str, content: bytes) -> None:
        try:
            given = json.loads(content)
            kind, choice = given["kind"], Choice(given["name"], given["params"])
            fits = kind in ("methods", "datasets", "scenarios") and isinstance(choice.params, dict)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SuiteError("not an input") from error
        if not fits or not isinstance(choice.name, str):
            raise SuiteError("not an input")
        built = registry().build(kind, choice)
        if canonical(values(built)) != canonical(values(registry().build(kind, Choice(choice.name, values(built))))):
            raise Wrong(f"{choice} is built otherwise from its own parameters")

    return Reader(seeds, read, changed_json)


def _own(folder: Path) -> Reader:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "date": pd.date_range("2020-01-01", periods=60).strftime("%d.%m.%Y"),
            "sex": random.choice(["female", "male"], 60),
            "age": random.integers(18, 80, 60),
            "income": random.normal(30, 8, 60).round(2),
            "purpose": random.choice(["car", "house", "école", ""], 60),
            "paid": random.choice(["yes", "no"], 60),
        }
    )
    seeds = {
        "comma.csv": table.to_csv(index=False).encode(),
        "semicolon.csv": table.to_csv(index=False, sep=";", decimal=",").encode("cp1252"),
        "tab.csv": table.to_csv(index=False, sep="\t").encode("utf-16"),
    }
    path = folder / "loans.csv"
    said = {"file": str(path), "label": "paid", "group": ["sex", "age"], "bin": {"age": [30, 50]}}

    def read(name: str, content: bytes) -> None:
        path.write_bytes(content)
        found = prepared(declared("loans", said, "data"))
        checked_dataset(found.dataset)
        for sentence in (*found.said, *found.warnings):
            if "\n" in sentence:
                raise Wrong(f"a sentence of several lines: {sentence!a}")

    return Reader(seeds, read)


def _audit(folder: Path) -> Reader:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sex": random.choice(["female", "male", "other"], 80, p=[0.5, 0.45, 0.05]),
            "race": random.choice(["a", "b"], 80),
            "y": random.integers(0, 2, 80),
            "p": random.integers(0, 2, 80),
            "score": random.random(80).round(3),
        }
    )
    path = folder / "predictions.csv"
    sound = table.to_csv(index=False).encode()
    metrics = registry()
    questions = {
        "decisions.csv": Question(path, ("sex", "race"), label="y", prediction="p"),
        "scores.csv": Question(path, ("sex",), score="score", exclude_small=True),
        "threshold.csv": Question(path, ("race",), label="y", score="score", threshold=0.5),
    }

    def read(name: str, content: bytes) -> None:
        path.write_bytes(content)
        found = tables(audit_predictions(read_audited(questions[name]), metrics))
        try:
            json.dumps(found, allow_nan=False)
        except ValueError as error:
            raise Wrong(f"numbers that are not finite: {error}") from error

    return Reader(dict.fromkeys(questions, sound), read)


def _published(folder: Path) -> Reader:
    seeds, papers = {}, {}
    for source in (ROOT / "tests/papers/tiny", ROOT / "plugins/fairbench_papers/data/fairbinn"):
        copy = folder / source.name
        shutil.copytree(source, copy, dirs_exist_ok=True)
        tiny = Paper(source.name, "A study", "Nobody (2024)", copy, {"count": len})
        papers[source.name] = tiny if source.name == "tiny" else replace(registry().paper(source.name), directory=copy)
        for file in ("published.toml", "rerun.toml"):
            seeds[f"{source.name}-{file}"] = (copy / file).read_bytes()

    def read(name: str, content: bytes) -> None:
        paper, _, file = name.partition("-")
        (papers[paper].directory / file).write_bytes(content)
        try:
            found = read_published(papers[paper], registry())
            read_rerun(papers[paper], found)
            rows = [row.numbers for table in found.tables.values() for row in table.rows]
            rows += [row for quoted in found.quoted.values() for row in quoted.rows]
            for number in (number for row in rows for number in row):
                if not all(part is None or math.isfinite(part) for part in (number.mean, number.spread)):
                    raise Wrong(f"{number} was taken for a number")
        finally:
            (papers[paper].directory / file).write_bytes(seeds[name])

    return Reader(seeds, read)


def _claims(folder: Path) -> Reader:
    file = folder / "claims.toml"

    def read(name: str, content: bytes) -> None:
        file.write_bytes(content)
        suite_path(file)
        for claim in read_claim_file(file, registry()):
            ranges = [claim.expected] if isinstance(claim.expected, Range) else []
            ranges += [loss.range for loss in claim.losses]
            if any(math.isnan(end) for one in ranges for end in (one.low, one.high)):
                raise Wrong(f"{claim.name} claims what is no number")

    return Reader({"claims.toml": (ROOT / "benchmarks/claims/claims.toml").read_bytes()}, read)


def _measured(repeat: int, cells: Sequence[str] = ("a", "b")) -> Measured:
    """Return a cell with two operating points, a test part with task keys, a hole among the values, and diagnostics."""
    random = np.random.default_rng(repeat)
    schema, n = Schema(("x",), ("f", "m"), 1, 0), 40
    group, y = random.integers(0, 2, n), random.integers(0, 2, n)
    keys = {"state": np.array(["x", "yy"])[group]}
    truth = Truth.of(Samples(np.zeros((n, 1), np.float32), group, schema, y, keys, np.arange(n) * 3))
    cell = Cell(Choice("compas"), Choice("mlp", {"lr": 0.1}), "race", repeat, metrics=("accuracy",))
    found = [Value(0, point, name, "accuracy", random.random()) for point in cells for name in ("", "f")]
    holes = [Value(0, "a", "", "selection_rate", None, "a reason")]
    parts, alike = Parts(9, 3, n), ((0, "b"),)
    record = Record(cell, DONE, "", (*found, *holes), "a", {"loss": (1.0, None)}, 1.5, 1.2, {"x": "1"}, parts, alike)
    made = {"a": Predictions.from_score(random.random(n)), "b": Predictions.from_decision(random.random(n), seed=1)}
    return Measured(record, {(0, point): (truth, predictions) for point, predictions in made.items()})


def _write_store(path: Path) -> None:
    with Store(path, create=True) as store:
        for repeat in range(3):
            store.add(_measured(repeat))
        store.add(Measured(Record(Cell(Choice("adult"), Choice("mlp"), "sex", 0), FAILED, "Traceback: no"), {}))


def _told(measured: Measured) -> str:
    """Return all of a cell, to compare it to the last bit."""
    told = []
    for place, (truth, made) in measured.predictions.items():
        arrays = [*truth.arrays.values(), made.y_pred, made.y_score, made.decision]
        told.append((place, truth.about, [None if array is None else array.tobytes() for array in arrays]))
    return repr((measured.record, told))


def _store(folder: Path) -> Reader:
    """A store whose bytes or rows were changed: what is read is what was written, or the damage is said."""
    path = folder / FILE_NAME
    path.unlink(missing_ok=True)
    _write_store(path)
    seeds, scratch = (
        {FILE_NAME: path.read_bytes(), "old.sqlite": (ROOT / "tests/old_run" / FILE_NAME).read_bytes()},
        folder / "scratch",
    )

    def everything() -> tuple[list[str], str]:
        with Store(path) as store:
            outline, records = store.outline(), store.records()
            return [_told(store.measured(record.cell.key)) for record in records], repr(sorted(outline.items()))

    expected = everything()

    def read(name: str, content: bytes) -> None:
        path.write_bytes(content)
        told = everything()
        if name == FILE_NAME and told != expected:
            raise Wrong("what is read is not what was written")

    def change(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.5:
            return mutated(content, random, others)
        scratch.write_bytes(content)
        with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
            _change_row(connection, random)
        return scratch.read_bytes()

    return Reader(seeds, read, change)


def _change_row(connection: sqlite3.Connection, random: Random) -> None:
    """Delete or double a row, or write something else in a column of one or of all rows."""
    names = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    table = random.choice(names)
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 - names from the file's own schema
    if not rows:
        return
    place, column = random.randrange(len(rows)), random.choice(columns)
    where = " AND ".join(f'"{name}" IS ?' for name in columns)
    old = rows[place][columns.index(column)]
    plain = old.encode() if isinstance(old, str) else old if isinstance(old, bytes) else str(old).encode()
    new = random.choice(
        (mutated(plain, random), random.choice(VALUES), rows[random.randrange(len(rows))][columns.index(column)])
    )
    if isinstance(new, bytes) and not isinstance(old, bytes) and random.random() < 0.8:
        new = new.decode("utf-8", "replace")
    new = random.choice((new, new, new, None, random.choice((-1, 2**62, 1e308, 0))))
    how = random.randrange(5)
    try:
        if how == 0:
            query, arguments = f'DELETE FROM "{table}" WHERE {where}', rows[place]  # noqa: S608
        elif how == 1:
            arguments = [*rows[place]]
            arguments[columns.index(column)] = new
            query = f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(arguments))})'  # noqa: S608
        elif how == 2:
            query, arguments = f'UPDATE "{table}" SET "{column}" = ?', [new]  # noqa: S608
        else:
            query, arguments = f'UPDATE "{table}" SET "{column}" = ? WHERE {where}', [new, *rows[place]]  # noqa: S608
        connection.execute(query, arguments)
    except (sqlite3.Error, OverflowError):  # a constraint: the row stays as it was
        pass


def _checkpoint(folder: Path) -> Reader:
    """A checkpoint whose content was changed, with a digest that fits in half of the cases: a forged one."""
    measured = _measured(0)
    checkpoint = Checkpoint(folder / f"{measured.record.cell.key}.npz", measured.record.cell)
    checkpoint.save(Progress(measured, 2, {"weights": np.arange(6.0).reshape(2, 3), "n": np.array(3)}, 1.0, 0.5))
    seeds = {checkpoint.path.name: checkpoint.path.read_bytes()}

    def read(name: str, content: bytes) -> None:
        checkpoint.path.write_bytes(content)
        progress = checkpoint.load({"x": "1"})
        if progress is not None:
            for value in progress.measured.record.values:
                if value.value is not None and not np.isfinite(value.value):
                    raise Wrong(f"{value} was taken for a value")

    def change(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.5:
            return mutated(content, random, others)
        body = mutated(content[32:], random)
        return hashlib.blake2b(body, digest_size=32).digest() + body

    return Reader(seeds, read, change)


def _run_json(folder: Path) -> Reader:
    """``run.json``, and every twentieth time the reports of a run whose file it is."""
    shutil.copyfile(ROOT / "tests/old_run" / FILE_NAME, folder / FILE_NAME)
    path = folder / RUN_FILE
    sound = json.loads((ROOT / "tests/old_run" / RUN_FILE).read_text(encoding="utf-8"))
    seeds = {RUN_FILE: json.dumps(sound).encode(), "indented.json": json.dumps(sound, indent=1).encode()}

    def read(name: str, content: bytes) -> None:
        path.write_bytes(content)
        run = read_run(folder)
        json.dumps(run, allow_nan=False)
        if hashlib.sha256(content).digest()[0] % 20:
            return
        results = load_results(folder)
        with suppress(SuiteError):  # a run of another command, or of other plugins, is shown all the same
            suite = suite_of(results)
            suite.own()
            planned(suite)
        for report in REPORTS:
            text = registry().report(report).render(results)
            if "\x1b" in text:
                raise Wrong(f"{report}: {text!a:.200}")

    return Reader(seeds, read, changed_json)


TARGETS = {
    target.name: target
    for target in (
        Target("suite", _suite),
        Target("choices", _choices),
        Target("parameters", _parameters),
        Target("own-data", _own),
        Target("audit", _audit),
        Target("published", _published),
        Target("claims", _claims),
        Target("store", _store),
        Target("checkpoint", _checkpoint),
        Target("run-json", _run_json),
        *READERS,
    )
}

"""The bench: one cheap script from the command to the JSON file, the timer, and the form of a row."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[1] / "benchmarks" / "speed"
SCRIPT = '''
"""A script that is made up."""

from _timing import Row


def measure(quick):
    print("what a library prints is no row")
    for size in (10, 100, 1_000):
        here, theirs = 3.0 * size**1.5, 6.0 * size**1.5
        yield Row("sorting", here, "CPU ms", other=theirs, against="numpy [sic]", size=size, of="rows")
    yield Row("a peer", None, "CPU ms", note=f"not installed; quick is {quick}")
    if not quick:
        raise RuntimeError("it went wrong here")
'''


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(str(SPEED))
    yield importlib.import_module("_timing")
    sys.modules.pop("_timing")


@pytest.fixture
def bench(tmp_path):
    """Return what runs a copy of the bench whose only script is made up."""
    copy = tmp_path / "speed"
    copy.mkdir()
    for name in ("__main__.py", "_report.py", "_timing.py"):
        (copy / name).write_text((SPEED / name).read_text())
    (copy / "made_up.py").write_text(SCRIPT.lstrip())

    def run(*arguments):
        command = [sys.executable, str(copy), *arguments, "--out", str(tmp_path / "out")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.mark.long
def test_a_script_of_the_bench_gives_a_table_a_file_and_a_plot(tmp_path):
    command = [sys.executable, str(SPEED), "minibatch", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a pass as german" in done.stdout
    (row,) = json.loads((tmp_path / "bench.json").read_text())["scripts"]["minibatch"]["rows"]
    assert (row["unit"], row["against"]) == ("CPU ms", "torch's graph")
    assert 0 < row["value"] <= row["median"]
    assert row["ratio"] == row["other"] / row["value"]
    assert (tmp_path / "bench.png").stat().st_size > 1000


def test_rows_reach_table_file_and_fit(bench, tmp_path):
    done = bench("--quick")
    assert done.returncode == 0, done.stderr
    assert "what a library prints is no row" in done.stderr
    assert "numpy [sic]" in done.stdout
    assert "not installed; quick is True" in done.stdout
    written = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert (written["format"], written["quick"], list(written["scripts"])) == (1, True, ["made_up"])
    script = written["scripts"]["made_up"]
    assert (script["title"], script["problem"]) == ("A script that is made up", "")
    assert [row["ratio"] for row in script["rows"]] == [2, 2, 2, None]
    assert script["rows"][3]["value"] is None
    (growth,) = written["growth"]
    assert (growth["name"], growth["of"], growth["sizes"]) == ("sorting", "rows", pytest.approx([10, 100, 1000]))
    assert growth["exponent"] == pytest.approx(1.5)
    assert growth["last"] == pytest.approx(1.5)


def test_a_script_that_fails_keeps_its_rows_and_fails_the_bench(bench, tmp_path):
    done = bench("made_up")
    assert done.returncode == 1
    assert "it went wrong here" in done.stderr
    assert "made_up failed: it ended with status 1" in done.stdout
    assert len(json.loads((tmp_path / "out" / "bench.json").read_text())["scripts"]["made_up"]["rows"]) == 4


def test_an_unknown_script_is_refused_with_those_there_are(bench, tmp_path):
    done = bench("mad_up")
    assert done.returncode == 2
    assert "there is no script mad_up; there are made_up" in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_script_has_the_form_and_leaves_the_clock_to_the_timer():
    for path in sorted(SPEED.glob("[!_]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
        assert "measure" in functions, f"{path.name} has no measure(quick)"
        measure = functions["measure"]
        signature = [ast.unparse(measure.args), measure.returns and ast.unparse(measure.returns)]
        assert signature == ["quick: bool", "Iterator[Row]"], path.name
        assert ast.get_docstring(module), path.name
        assert "main" not in functions, f"{path.name} prints rows of its own"
        called = {ast.unparse(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)}
        clocks = {f"time.{name}" for name in ("perf_counter", "process_time", "time", "monotonic")}
        assert not called & clocks, f"{path.name} has a timer of its own"


def test_works_take_turns_and_the_fastest_and_median_round_count(timing):
    calls, now = [], [0.0]
    taken = {"a": iter([9, 3, 1, 2]), "b": iter([9, 30, 10, 20])}

    def work(name):
        calls.append(name)
        now[0] += next(taken[name])

    works = {name: (lambda name=name: work(name)) for name in taken}
    found = timing.alternately(works, rounds=3, burst=0, budget=100, clock=lambda: now[0])
    assert calls == ["a", "b"] * 4  # once to warm up
    assert found == {"a": (1, 2), "b": (10, 20)}
    row = found["a"].row("work", "CPU ms", other=found["b"], against="b")
    assert (row.value, row.median, row.other, row.ratio) == (1000, 2000, 10_000, 10)


def test_short_works_fill_a_burst_and_long_ones_are_called_once(timing):
    calls, now = {"short": 0, "long": 0}, [0.0]

    def work(name, seconds):
        calls[name] += 1
        now[0] += seconds

    works = {"short": lambda: work("short", 0.25), "long": lambda: work("long", 50.0)}
    found = timing.alternately(works, rounds=2, burst=1.0, budget=10.0, clock=lambda: now[0])
    assert calls == {"short": 1 + 1 + 2 * 4, "long": 1}
    assert found == {"short": (0.25, 0.25), "long": (50, 50)}


def test_growth_needs_three_sizes(timing):
    rows = [timing.Row("one", float(size), "CPU ms", size=size, of="rows") for size in (1, 2)]
    assert timing.growths(rows) == []
    (growth,) = timing.growths([*rows, timing.Row("one", 16.0, "CPU ms", size=4, of="rows")])
    assert growth.exponent == pytest.approx(2)  # 1, 2, 16: slopes of 1 and 3
    assert growth.last == pytest.approx(3)

"""The simulation of runs with many workers, against closed forms, and the document that cites it."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scale():
    specification = importlib.util.spec_from_file_location("simulate", ROOT / "benchmarks" / "scale" / "simulate.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["simulate"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules["simulate"]


def test_a_single_worker_computes_and_is_served_in_turn(scale):
    run = scale.simulate(7, 1, lambda: 3.0, 0.5)
    assert run.seconds == pytest.approx(0.5 + 7 * 3.5)
    assert run.useful == pytest.approx(21 / 25)
    assert run.busy == pytest.approx(4 / 25)
    assert run.waited == 0


def test_too_many_workers_take_as_long_as_the_coordinator(scale):
    run = scale.simulate(1_000, 50, lambda: 1.0, 0.25)
    assert run.seconds == pytest.approx((1_000 + 50) * 0.25)
    assert run.busy == pytest.approx(1)
    assert run.useful == pytest.approx(1_000 / (50 * 262.5))


def test_a_coordinator_that_costs_nothing_holds_nobody_up(scale):
    run = scale.simulate(1_001, 10, lambda: 2.0, 0.0)
    assert (run.seconds, run.busy, run.waited) == (202, 0, 0)
    assert run.useful == pytest.approx(2_002 / 2_020)


def test_many_workers_wait_as_long_as_in_an_m_d_1_queue(scale):
    service, workers, waits = 0.6, 500, {}
    for batches in (10_000, 160_000):  # the difference is without the rush at the beginning
        draw = Random(1)
        run = scale.simulate(batches, workers, lambda draw=draw: draw.expovariate(1 / workers), service)
        waits[batches] = run.waited * batches
    waited = (waits[160_000] - waits[10_000]) / 150_000
    load = service * workers / (workers + service + waited)  # of about one request a second
    assert waited == pytest.approx(load * service / (2 * (1 - load)), rel=0.05)  # Pollaczek and Khinchine


def test_a_run_that_is_simulated_in_part_takes_as_long_as_the_whole(scale):
    for service in (0.001, 0.05):  # 40 workers are all busy, or wait
        computing = scale.varied(1.0, 1, Random(2))
        whole, part = (scale.simulate(50_000, 40, computing, service, most) for most in (None, 4_000))
        assert part.seconds == pytest.approx(whole.seconds, rel=0.01)
        assert part.useful == pytest.approx(whole.useful, rel=0.01)


def test_batches_take_as_long_as_their_cells(scale):
    for batch in (1, 9):
        computing = scale.varied(2.0, batch, Random(3))
        drawn = [computing() for _ in range(4_000)]
        mean = sum(drawn) / len(drawn)
        spread = (sum((seconds - mean) ** 2 for seconds in drawn) / len(drawn)) ** 0.5
        assert mean == pytest.approx(2.0 * batch, rel=0.02)
        assert spread == pytest.approx(2.0 * (batch / 12) ** 0.5, rel=0.05)


def test_costs_are_read_from_the_bench(scale, tmp_path):
    rows = [{"name": scale.EXCHANGE, "size": batch, "value": 4.0 + 0.5 * batch} for batch in (1, 10, 100)]  # ms
    rows.append({"name": scale.APPEND, "size": None, "value": 2.0})
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"scripts": {"coordinator": {"rows": rows}}}))
    costs = scale.Costs.read(path)
    assert (costs.message, costs.cell, costs.append) == pytest.approx((0.004, 0.0005, 0.002))
    assert costs.service(10) == pytest.approx(0.029)
    assert scale.saturation(1.0, 10, costs) == pytest.approx(10.029 / 0.029)


def test_the_document_says_what_the_simulation_prints(scale):
    """UPDATE_DOCS=1 writes it there."""
    costs, path = scale.Costs.read(ROOT / "benchmarks" / "scale" / "bench.json"), ROOT / "docs" / "scaling.md"
    if os.environ.get("UPDATE_DOCS"):
        before, _, rest = path.read_text(encoding="utf-8").partition("<!-- printed -->\n")
        after = rest.partition("<!-- end -->")[2]
        text = f"{before}<!-- printed -->\n\n{scale.printed(costs)}\n\n<!-- end -->{after}"
        path.write_text(text, encoding="utf-8")
    document = path.read_text(encoding="utf-8")
    line = scale.table(costs, scale.CELLS, 100, 100, seconds=(10.0,))[-1]
    assert line in document
    assert f"{1e3 * costs.append:.2f} ms" in document

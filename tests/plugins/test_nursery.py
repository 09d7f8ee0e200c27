"""The process that loads once and forks workers, on real processes: what it gives, and what its death costs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from multiprocessing import util
from pathlib import Path

import pytest
from fairbench_executors import _nursery, _pool
from fairbench_executors._warden import children
from fairbench_executors.processes import Processes
from process_helpers import is_gone, wait_until, wait_until_gone

import fairbench
from fairbench.api import RETURNED, TIMED_OUT, Limits

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere workers are not forked; the tests read /proc"
)

MODULES = (
    "fairbench.api",
    "fairbench.api.torch",
    "pandas",
    "torch",
    "fairbench.running.cell",
    "sklearn.model_selection",
)


class Loaded:
    """A function whose loading is a call of a task."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return how to write a module that can be imported by its name ``own``; the process that does leaves a file."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "imported"
    folder.mkdir()

    def write(code=""):
        touch = f"from pathlib import Path\nimport os\nPath({str(folder)!r}, str(os.getpid())).touch()\n"
        (tmp_path / "own.py").write_text(touch + code)
        return folder

    return write


SLOW = """import time
others = len(os.listdir(Path(__file__).parent / "imported")) - 1
time.sleep(1 if others else 3600)
Path(__file__).with_name("loaded").touch()
"""


def results(ended):
    found = list(ended)
    assert [end.how for end in found] == [RETURNED] * len(found), found
    return [end.result for end in found]


def below(process):
    """Return all processes that descend from a process."""
    found = children(process)
    for each in found:
        found += children(each)
    return found


def test_modules_are_imported_once_and_workers_are_forks_that_hold_one_socket(tasks, module):
    """None of what the workers of a run import in this way may have started a thread."""
    folder = module()
    with Processes(workers=2).warm([*MODULES, "there.is.none", "own"]) as executor:
        found = results(executor.map(tasks.family, map(str, range(50))))
    (nursery,) = {family[2] for family, _, _ in found}
    assert [int(path.name) for path in folder.iterdir()] == [nursery]
    assert {(forked, sockets) for _, forked, sockets in found} == {(True, 1)}
    assert {family[4] for family, _, _ in found} == {os.getpid()}


def test_a_function_is_loaded_in_each_worker(tasks, tmp_path):
    """What a plugin opens or draws when it is imported is each worker's own."""
    function = Loaded(tasks.load_as_a_cell_does, str(tmp_path))
    with Processes(workers=2).warm(MODULES) as executor:
        found = results(executor.map(function, map(str, range(50))))
    assert {int(path.name) for path in tmp_path.iterdir()} == {family[0] for family, _, _ in found}
    assert {forked for _, forked, _ in found} == {True}


def test_workers_do_not_draw_alike(tasks):
    with Processes(workers=2).warm(["numpy.random"]) as executor:
        found = set(results(executor.map(tasks.drawn, range(20))))
    assert len(found) == 2
    assert len({number for _, draws in found for number in draws}) == 4


def test_a_worker_that_dies_is_replaced_from_the_same_nursery(tasks, module):
    folder = module()
    with Processes(workers=1).warm(["own"]) as executor:
        ends = list(executor.map(tasks.family, ["a", "kill", "b"], Limits(retries=2)))
    assert {end.item: end.how == RETURNED for end in ends} == {"a": True, "kill": False, "b": True}
    assert str(next(end.error for end in ends if end.item == "kill")).endswith("(out of memory?), 3 times")
    assert len({end.result[0][0] for end in ends if end.result}) == 2
    assert len(list(folder.iterdir())) == 1


THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"


@pytest.mark.parametrize("code", ["", THREAD], ids=["forks", "fresh"])
def test_workers_outlive_a_nursery_that_has_left(tasks, module, code):
    folder = module(code)
    with Processes(workers=1).warm(["own"]) as executor:
        ends = executor.map(tasks.family, map(str, range(20)), Limits(retries=0))
        first = next(ends)
        executor.nursery.stop()
        nursery = first.result[0][2]
        assert str(nursery) in {path.name for path in folder.iterdir()}
        wait_until(lambda: is_gone(nursery))
        assert {family[0] for family, _, _ in results(ends)} == {first.result[0][0]}


def test_where_a_library_has_started_a_thread_each_worker_is_started_afresh(tasks, module):
    module(THREAD)
    with Processes(workers=2).warm(["own"]) as executor:
        found = results(executor.map(tasks.family, map(str, range(20))))
    assert {forked for _, forked, _ in found} == {False}
    assert len({family[0] for family, _, _ in found}) <= 2
    wait_until_gone({pid for family, _, _ in found for pid in family[:4]})


@pytest.mark.parametrize("whom", ["nursery", "warden"])
def test_a_nursery_that_is_killed_loses_nothing_and_is_replaced(tasks, whom):
    """Not even a try: the worker that killed it answers, and its neighbour; then one dies, and must be replaced."""
    items = [whom, *map(str, range(20)), "kill", *map(str, range(20, 40))]
    ends = list(Processes(workers=2).map(tasks.kill_the_nursery, items, Limits(retries=0)))
    assert sorted(end.item for end in ends if end.how == RETURNED) == sorted(set(items) - {"kill"})
    assert multiprocessing.active_children() == []
    assert not [pid for pid in children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_nursery_that_is_killed_while_it_loads_loses_nothing(tasks, module):
    folder = module(SLOW)

    def kill():
        wait_until(lambda: list(folder.iterdir()))
        os.kill(int(next(folder.iterdir()).name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with Processes(workers=4).warm(["own"]) as executor:
        found = results(executor.map(tasks.square, range(8), Limits(retries=0)))
    killer.join()
    assert sorted(found) == [item**2 for item in range(8)]
    assert len(list(folder.iterdir())) == 2


def test_time_is_limited_while_a_nursery_loads_whatever_its_workers_will_be_sent(tasks, module, monkeypatch, tmp_path):
    module(SLOW)
    monkeypatch.setattr(_pool, "START", 1.0)
    with Processes(workers=1).warm(["own"]) as executor:
        (end,) = executor.map(partial(tasks.first_of, b"x" * 5_000_000), [1], Limits(seconds=1.0))
    assert (end.how, str(end.error)) == (TIMED_OUT, "its worker had not started after 1 s")
    assert not (tmp_path / "loaded").exists()


def test_a_nursery_and_what_it_has_started_end_when_the_coordinator_is_killed_while_it_loads(tmp_path, module):
    folder = module(SLOW)
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {[str(Path(__file__).parent), str(tmp_path)]!r}\n"
        "import executor_tasks\nfrom fairbench_executors.processes import Processes\n"
        "with Processes(workers=2).warm(['own']) as executor:\n"
        "    list(executor.map(executor_tasks.square, [1, 2]))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        wait_until(lambda: list(folder.iterdir()))
        family = below(process.pid)
        assert int(next(folder.iterdir()).name) in family
        process.kill()
    wait_until_gone(family)


def test_an_executor_is_cold_after_a_map_and_without_one_ends_with_its_block(tasks, module):
    folder = module()
    with Processes(workers=1).warm(["own"]) as executor:
        assert results(executor.map(tasks.square, [3])) == [9]
        assert results(executor.map(tasks.square, [4])) == [16]
    with Processes(workers=1).warm(["own"]) as executor:
        wait_until(lambda: len(list(folder.iterdir())) == 3)
    wait_until_gone(folder.iterdir())
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("timeout", [None, "1h"])
def test_a_run_takes_its_workers_from_one_nursery(tmp_path, monkeypatch, timeout):
    started = []
    start = _nursery.spawned
    monkeypatch.setattr(_nursery, "spawned", lambda *what: started.append(what) or start(*what))
    made = fairbench.run(
        methods="constant",
        datasets="synthetic[rows=300]",
        repeats=4,
        executor="processes[workers=2]",
        timeout=timeout,
        out=tmp_path,
    )
    assert made.complete
    ((_, _, _, modules),) = started
    assert {"fairbench.running.cell", "fairbench.api.torch", "torch"} <= set(modules)
    assert not [name for name in modules if name.startswith("fairbench_")]
    assert multiprocessing.active_children() == []


def test_a_stop_while_a_nursery_starts_waits_until_it_has_been_told_what_to_do(monkeypatch, capfd):
    """One that had been told half of it would end with a traceback."""
    spawn, started = util.spawnv_passfds, []

    def interrupted(path, arguments, files):
        process = spawn(path, arguments, files)
        if any("spawn_main" in str(argument) for argument in arguments):
            started.append(process)
            signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(util, "spawnv_passfds", interrupted)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a command does
    with pytest.raises(KeyboardInterrupt):
        _nursery.Nursery()
    signal.signal(signal.SIGTERM, before)
    wait_until_gone(started)
    assert "Traceback" not in capfd.readouterr().err

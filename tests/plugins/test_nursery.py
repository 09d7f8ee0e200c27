"""The process that loads once and forks workers, on real processes: what it gives, and what its death costs."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import util
from pathlib import Path

import pytest
from fairbench_executors._warden import children
from fairbench_executors.processes import Processes

from fairbench.api import RETURNED, Limits

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere workers are not forked; the tests read /proc"
)

PATIENCE = 30.0  # seconds for what takes far less than one unless the machine is overloaded


class Loaded:
    """A function whose loading is a call of a task."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call

    def __eq__(self, other):
        return isinstance(other, Loaded) and self.call == other.call

    __hash__ = None


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_gone(pid):
    """Return whether a process has ended; one whose parent is dead may wait for init to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


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


def test_all_is_loaded_once_and_workers_are_forks_that_hold_one_socket(tasks, tmp_path):
    """All plugins are loaded as for a cell: none of them, nor what they import, may have started a thread."""
    function = Loaded(tasks.load_as_a_cell_does, str(tmp_path))
    found = results(Processes(workers=2).map(function, map(str, range(50))))
    (nursery,) = {family[2] for family, _, _ in found}
    assert [int(path.name) for path in tmp_path.iterdir()] == [nursery]
    assert {(forked, sockets) for _, forked, sockets in found} == {(True, 1)}
    assert {family[4] for family, _, _ in found} == {os.getpid()}


def test_a_worker_that_dies_is_replaced_from_the_same_nursery(tasks, tmp_path):
    function = Loaded(tasks.load_as_a_cell_does, str(tmp_path))
    ends = list(Processes(workers=1).map(function, ["a", "kill", "b"], Limits(retries=2)))
    assert {end.item: end.how == RETURNED for end in ends} == {"a": True, "kill": False, "b": True}
    assert str(next(end.error for end in ends if end.item == "kill")).endswith("(out of memory?), 3 times")
    assert len({end.result[0][0] for end in ends if end.result}) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_where_a_plugin_has_started_a_thread_each_worker_is_started_afresh(tasks):
    found = results(Processes(workers=2).map(Loaded(tasks.load_with_a_thread), map(str, range(20))))
    assert {forked for _, forked, _ in found} == {False}
    assert len({family[0] for family, _, _ in found}) <= 2
    assert all(map(is_gone, {pid for family, _, _ in found for pid in family[:4]}))


@pytest.mark.parametrize("whom", ["nursery", "warden"])
def test_a_nursery_that_is_killed_loses_nothing_and_is_replaced(tasks, whom):
    """Not even a try: the worker that killed it answers, and its neighbour; then one dies, and must be replaced."""
    items = [whom, *map(str, range(20)), "kill", *map(str, range(20, 40))]
    ends = list(Processes(workers=2).map(tasks.kill_the_nursery, items, Limits(retries=0)))
    assert sorted(end.item for end in ends if end.how == RETURNED) == sorted(set(items) - {"kill"})
    assert multiprocessing.active_children() == []
    assert not [pid for pid in children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_nursery_that_is_killed_while_it_loads_loses_nothing(tasks, tmp_path):
    def kill():
        wait_until(lambda: list(tmp_path.iterdir()))
        os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = results(Processes(workers=4).map(Loaded(tasks.load_slowly, str(tmp_path)), range(8), Limits(retries=0)))
    killer.join()
    assert sorted(found) == [item**2 for item in range(8)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_nursery_and_what_it_has_started_end_when_the_coordinator_is_killed_while_it_loads(tmp_path):
    script = tmp_path / "script.py"
    folder = tmp_path / "pids"
    folder.mkdir()
    script.write_text(
        f"import sys\nsys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        "import executor_tasks\nfrom fairbench_executors.processes import Processes\n"
        "class Loaded:\n    def __reduce__(self):\n"
        f"        return executor_tasks.load_slowly, ({str(folder)!r},)\n"
        "list(Processes(workers=2).map(Loaded(), [1, 2]))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        wait_until(lambda: list(folder.iterdir()))
        (nursery,) = (int(path.name) for path in folder.iterdir())
        wait_until(lambda: children(nursery))
        family = below(process.pid)
        assert nursery in family
        process.kill()
    wait_until(lambda: all(map(is_gone, family)))


def test_what_is_warm_is_used_once_by_a_map_of_an_equal_function(tasks, tmp_path):
    warm = Processes().warm(Loaded(tasks.load_as_a_cell_does, str(tmp_path)))
    wait_until(lambda: list(tmp_path.iterdir()))
    ((family, forked, _),) = results(Processes(workers=1).map(Loaded(tasks.load_as_a_cell_does, str(tmp_path)), ["a"]))
    assert forked
    assert [str(family[2])] == [path.name for path in tmp_path.iterdir()]
    assert warm.ended
    assert results(Processes(workers=1).map(tasks.square, [3])) == [9]


def test_what_is_warm_ends_when_it_is_let_go(tasks, tmp_path):
    warm = Processes().warm(Loaded(tasks.load_slowly, str(tmp_path)))
    wait_until(lambda: list(tmp_path.iterdir()))
    (nursery,) = (int(path.name) for path in tmp_path.iterdir())
    del warm
    gc.collect()
    wait_until(lambda: is_gone(nursery))


def test_a_stop_while_a_nursery_starts_waits_until_it_has_been_told_what_to_do(tasks, monkeypatch, capfd):
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
        Processes().warm(Loaded(tasks.load_with_a_thread))
    signal.signal(signal.SIGTERM, before)
    wait_until(lambda: all(map(is_gone, started)))
    assert "Traceback" not in capfd.readouterr().err

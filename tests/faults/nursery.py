"""Starts ``fairbench`` in a moment: imports everything once, and forks for each command.

Reads requests as JSON lines from stdin and answers each with one line: ``{"start": {...}}`` with the process id,
``{"wait": pid}`` with the exit status (negative: ended by that signal), ``{"call": [...]}`` with a program's status.
"""

import datetime
import io
import json
import os
import resource
import runpy
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from fairbench.__main__ import main
from fairbench.cli import main as command_line
from fairbench.cli import running


class Reporting(running.Terminal):
    """Writes the key of every cell that the run reports to the file ``reported``, where it outlives the process."""

    @contextmanager
    def cells(self, planned, finished):
        file = os.open("reported", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        yield lambda record: os.write(file, f"{record.cell.key} {record.status}\n".encode())


def die_at_statement(count):
    """Let the process be killed by SIGKILL when SQLite begins a statement, the one of this number."""
    left = [count]
    connect = sqlite3.connect

    def traced(statement):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def connected(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(traced)
        return connection

    sqlite3.connect = connected


def die_at_size(size):
    """Let the system kill the process in the middle of the write by which a file would exceed a size in bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Jumping(datetime.datetime):
    """The time of a clock that jumps."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


def jumping_clock(seed):
    """Let the clock jump at every look by up to a year, here and in workers."""
    os.environ.update(CLOCK_SEED=str(seed), PYTHONPATH=str(Path(__file__).parent / "clock"))
    runpy.run_path(str(Path(__file__).parent / "clock" / "sitecustomize.py"))
    datetime.datetime = Jumping  # only here: compiled libraries that are imported later would not take it


SETTINGS = {function.__name__: function for function in (die_at_statement, die_at_size, jumping_clock)}


def say_that_it_has_begun():
    """Leave a file when the command line has taken over, in place of a look for modules in the current folder."""
    os.close(os.open("begun", os.O_CREAT))


def become(command, folder, settings):
    """Run a command in this process, which is a fork, in a session of its own."""
    os.setsid()
    os.chdir(folder)
    for descriptor, name in enumerate([os.devnull, "log.out", "log.err"]):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    running.Terminal, command_line.namesake_warning = Reporting, say_that_it_has_begun
    for name, value in settings.items():
        if name in SETTINGS:
            SETTINGS[name](value)
        else:
            os.environ[name] = value
    sys.argv = ["fairbench", *command]
    main()


def warm_up():
    """Import all that a run needs by running one cell, of which nothing stays."""
    plugin = Path(__file__).parent / "grid_plugin.py"
    grid = ["run", "--plugin", str(plugin), "--methods", "draws", "--datasets", "tiny", "--repeats", "1", "--out", "r"]
    back = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        os.chdir(folder)
        command_line.cli.main(grid, standalone_mode=False)
        os.chdir(back)


def serve():
    """Answer requests until there are no more; end what nobody has waited for, as when the tests are interrupted."""
    warm_up()
    started = set()
    for line in sys.stdin:
        ((kind, asked),) = json.loads(line).items()
        if kind == "start":
            answer = os.fork()
            if not answer:
                become(**asked)
            started.add(answer)
        elif kind == "wait":
            started.remove(asked)
            answer = os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])
        else:
            answer = subprocess.run(asked, check=False).returncode
        print(answer, flush=True)
    for pid in started:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()

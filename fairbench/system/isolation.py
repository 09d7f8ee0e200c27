"""The process's own settings, protected from plugins' code: each cell and each import starts with the same settings.

The settings watched are those that libraries and scripts are known to change; the global random generators are not
included, since each cell seeds them. Functions replaced in other modules and threads that keep on are out of reach.
"""

from __future__ import annotations

import builtins
import gc
import locale
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn, Optional

from fairbench.system.library_settings import LIBRARIES, Setting, attribute, module_hooks, put_back, torch_settings
from fairbench.system.output import output_on_stderr

Handlers = Mapping[int, Any]
_TIMERS = {
    signal.SIGALRM: signal.ITIMER_REAL,
    signal.SIGVTALRM: signal.ITIMER_VIRTUAL,
    signal.SIGPROF: signal.ITIMER_PROF,
}
_SIGNALS = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGFPE, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD, signal.SIGTSTP, signal.SIGWINCH),
    *(signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU),
)
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_OF_LIBRARIES = (b"KMP_", b"TORCH")  # scikit-learn's and torch's variables
_raw_signal: Any = import_module("_signal")  # what ``signal`` wraps: to name every constant takes many times as long
_UNKNOWN = object()
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())  # Python 3.11


@contextmanager
def process_state_kept() -> Iterator[list[str]]:
    """Restore every setting of the process when the block ends, and show what the block prints on stderr.

    A child process that was forked in the block and reaches its end, as if it were the harness, ends there.
    An alarm signal that nothing handles raises ``TimeoutError`` in the block instead of ending the process. An
    interrupt that a library has replaced by an error of its own, as numpy does, is raised again.

    Yields:
        A list that holds at the end of the block the names of what was changed, e.g. ``the working directory``.
    """
    changed: list[str] = []
    process = os.getpid()
    with _settings_kept(changed), output_on_stderr(), _alarms_kept(changed):
        try:
            yield changed
        except BaseException as error:
            interrupt = _interrupt_behind(error)
            if interrupt is None or interrupt is error:
                raise
            raise type(interrupt)(*interrupt.args) from None
        finally:
            end_if_forked(process)


def _interrupt_behind(error: BaseException) -> Optional[KeyboardInterrupt]:
    """Return the interrupt that an error comes from, is, or contains as a group of errors; None if there was none."""
    pending: list[Optional[BaseException]] = [error]
    seen: set[int] = set()  # errors can be causes of themselves
    while pending:
        behind = pending.pop()
        if isinstance(behind, KeyboardInterrupt):
            return behind
        if behind is not None and id(behind) not in seen:
            seen.add(id(behind))
            members = behind.exceptions if isinstance(behind, _GROUP) else ()
            pending += [*members, behind.__context__, behind.__cause__]
    return None


def end_if_forked(process: int) -> None:
    """End this process at once if it is a fork of the process named, whatever it was about to do."""
    if os.getpid() != process:
        os._exit(1)


# -------------------------------------------------------------------- signals


def _alarm(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise TimeoutError(f"{signal.Signals(number).name}: an alarm set here went off, and nothing handles it")


def _handlers() -> Handlers:
    return {number: _raw_signal.getsignal(number) for number in _SIGNALS}


def _of_torch(handler: Any) -> bool:
    """Return whether torch set a signal's handler for the workers of its loaders: once, in whichever cell."""
    return getattr(handler, "__module__", None) == "torch.utils.data._utils.signal_handling"


@contextmanager
def _alarms_kept(changed: list[str]) -> Iterator[None]:
    """Cancel alarms that the block leaves behind, and restore the signals' handlers and mask."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no handler can be set
        return
    pending = {timer for timer in _TIMERS.values() if any(signal.getitimer(timer))}
    before, mask = _handlers(), _raw_signal.pthread_sigmask(signal.SIG_BLOCK, ())
    guarded: Handlers = {number: _alarm for number in _TIMERS if before[number] == signal.SIG_DFL}
    for number, handler in guarded.items():
        _raw_signal.signal(number, handler)
    try:
        yield
    finally:
        while True:
            try:
                if _end_timers(pending):
                    changed.append("a pending alarm")
                break
            except Exception:  # noqa: S112 - it went off here, and its handler raised; now it is over
                continue
        left = _handlers()
        expected = {**before, **guarded}
        if any(left[number] != handler and not _of_torch(left[number]) for number, handler in expected.items()):
            changed.append("a signal handler")
        for number, handler in before.items():
            if handler is not None and left[number] is not handler:  # None: set by native code
                _raw_signal.signal(number, handler)
        if _raw_signal.pthread_sigmask(signal.SIG_SETMASK, mask) != mask:
            changed.append("the signal mask")


def _end_timers(kept: set[int]) -> bool:
    """Stop every timer but those kept; return whether one was running."""
    left = [signal.setitimer(timer, 0) for timer in _TIMERS.values() if timer not in kept]
    return any(map(any, left))


# -------------------------------------------------------------------- settings


@contextmanager
def _settings_kept(changed: list[str]) -> Iterator[None]:
    settings, known = _settings()
    before = _read_all(settings)
    try:
        yield
    finally:
        new = _at_import(known)
        for setting, value in [*zip(settings, before), *new] if new or not _same(before, _read_all(settings)) else ():
            now = _read(setting)
            if _same(value, now):
                continue
            with suppress(Exception):  # of something that cannot be read any more
                value = setting.wanted(value, now)
            if not _same(value, now):
                changed.append(setting.name)
                with suppress(Exception):  # e.g. a working directory that is gone
                    setting.write(value)


def _read_all(settings: Sequence[Setting]) -> list[Any]:
    """Return what ``_read`` does of each; a list, which compares them all at once."""
    try:
        return [setting.read() for setting in settings]
    except Exception:  # of a single one, which remains unknown
        return [_read(setting) for setting in settings]


def _read(setting: Setting) -> Any:
    try:
        return setting.read()
    except Exception:  # whatever the library says; then there is nothing to put back
        return _UNKNOWN


def _same(before: Any, now: Any) -> bool:
    try:
        return before is _UNKNOWN or bool(before == now)
    except Exception:  # e.g. arrays among the values
        return False


def _settings() -> tuple[list[Setting], frozenset[str]]:
    """Return what can be kept of the libraries that are loaded by now, and the names of these settings."""
    return _settings_of(tuple(library for library in LIBRARIES if library in sys.modules))


@lru_cache(maxsize=4)
def _settings_of(libraries: Sequence[str]) -> tuple[list[Setting], frozenset[str]]:
    found = list(_PLAIN)
    for library in libraries:
        found += LIBRARIES[library](sys.modules[library])
    return found, frozenset(setting.name for setting in found)


def _at_import(known: frozenset[str]) -> list[tuple[Setting, Any]]:
    """Return the settings that torch has when it is imported, for one that was imported within the block."""
    torch: Any = sys.modules.get("torch")
    if torch is None or "torch's default dtype" in known:
        return []
    threads = os.environ.get("OMP_NUM_THREADS", "")
    fresh = {
        "torch's default dtype": torch.float32,
        "torch's default device": torch.device("cpu"),
        "torch's number of threads": int(threads) if threads.isdigit() else _UNKNOWN,
        "torch's grad mode": True,
        "torch's deterministic algorithms": (False, False),
        "torch's autocast": [False, False],
        "torch's hooks of all modules": {name: {} for name in module_hooks(torch)},
    }
    return [(setting, fresh[setting.name]) for setting in torch_settings(torch) if setting.name in fresh]


def _environment() -> dict[bytes, bytes]:
    return dict(getattr(os.environb, "_data", os.environb))  # a copy of the dict within takes a twentieth of the time


def _write_environment(before: Mapping[bytes, bytes]) -> None:
    put_back(os.environb, before)
    time.tzset()


def _wanted_environment(before: Mapping[bytes, bytes], now: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Let an imported library keep its own variables: scikit-learn and torch set some once, in any cell."""
    own = {name: value for name, value in now.items() if name.startswith(_OF_LIBRARIES)}
    return {**own, **before}


def _write_filters(before: list[Any]) -> None:
    warnings.resetwarnings()  # which also makes Python forget what it has looked up
    warnings.filters[:] = before  # type: ignore[index]  # a list, called a Sequence


def _general(entry: Any) -> bool:
    """Return whether a warnings filter is about more than some library's own messages."""
    return entry[1] is None and entry[3] is None and getattr(entry[2], "__module__", "") == "builtins"


def _meaning(entry: Any) -> Any:
    """Return a warnings filter with its patterns as texts: scikit-learn puts some back compiled."""
    return tuple(getattr(part, "pattern", part) for part in entry)


def _wanted_filters(before: list[Any], now: list[Any]) -> list[Any]:
    """Let an imported library keep the filters of its own warnings, where it put them if nothing else changed."""
    known = [_meaning(entry) for entry in before]
    own = [entry for entry in now if _meaning(entry) not in known and not _general(entry)]
    return now if [_meaning(entry) for entry in now if entry not in own] == known else own + before


def _of_compiled_libraries(name: Any) -> bool:
    return str(name).startswith("__pybind11")


def _wanted_builtins(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> dict[Any, Any]:
    """Leave alone what compiled libraries keep among the built-in functions."""
    own = {name: value for name, value in now.items() if _of_compiled_libraries(name)}
    return {**{name: value for name, value in before.items() if not _of_compiled_libraries(name)}, **own}


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _stack_size() -> int:
    size = threading.stack_size()  # which sets it to the default
    threading.stack_size(size)
    return size


def _limits() -> dict[int, tuple[int, int]]:
    return {limit: resource.getrlimit(limit) for limit in _LIMITS}


def _write_limits(before: Mapping[int, tuple[int, int]]) -> None:
    for limit, values in before.items():
        with suppress(OSError, ValueError):  # a hard limit cannot be raised again
            resource.setrlimit(limit, (values[0], resource.getrlimit(limit)[1]))


def _path(own: bool) -> list[str]:
    """Return the folders that imports search: the one that torch adds for itself at first need, or the others."""
    module = sys.modules.get("torch.distributed.nn.jit.instantiator")
    folder = getattr(module, "INSTANTIATED_TEMPLATE_DIR_PATH", None)
    return [entry for entry in sys.path if (entry == folder) == own]


def _write_path(before: list[str]) -> None:
    sys.path[:] = [*before, *_path(own=True)]


def _write_traceback_limit(before: Optional[int]) -> None:
    if before is None:
        del sys.tracebacklimit
    else:
        sys.tracebacklimit = before


_PLAIN = [
    Setting("the working directory", os.getcwd, os.chdir),
    Setting("the environment", _environment, _write_environment, _wanted_environment),
    Setting("the warnings filters", lambda: list(warnings.filters), _write_filters, _wanted_filters),
    attribute(os, "environ", "os.environ"),
    attribute(warnings, "showwarning", "warnings.showwarning"),
    attribute(warnings, "formatwarning", "warnings.formatwarning"),
    Setting("the locale", partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    Setting("the umask", _umask, os.umask),
    Setting("a resource limit", _limits, _write_limits),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("the stack size of threads", _stack_size, threading.stack_size),
    Setting("the switch interval", sys.getswitchinterval, sys.setswitchinterval),
    Setting("sys.path", lambda: _path(own=False), _write_path),
    Setting("sys.argv", lambda: list(sys.argv), lambda before: setattr(sys, "argv", before)),
    Setting("sys.tracebacklimit", lambda: getattr(sys, "tracebacklimit", None), _write_traceback_limit),
    attribute(sys, "excepthook", "sys.excepthook"),
    attribute(sys, "displayhook", "sys.displayhook"),
    attribute(sys, "unraisablehook", "sys.unraisablehook"),
    attribute(threading, "excepthook", "threading.excepthook"),
    Setting("the trace function", lambda: (sys.gettrace(),), lambda before: sys.settrace(*before)),
    Setting("the profile function", lambda: (sys.getprofile(),), lambda before: sys.setprofile(*before)),
    Setting(
        "a built-in function", vars(builtins).copy, lambda before: put_back(vars(builtins), before), _wanted_builtins
    ),
    Setting("the garbage collector", gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    Setting("the garbage collector's thresholds", gc.get_threshold, lambda before: gc.set_threshold(*before)),
]
if hasattr(sys, "set_int_max_str_digits"):  # Python 3.9.14
    digits = sys.get_int_max_str_digits, sys.set_int_max_str_digits
    _PLAIN.append(Setting("the longest whole number as text", *digits))
if hasattr(os, "sched_getaffinity"):
    _PLAIN.append(Setting("the processors", partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)))

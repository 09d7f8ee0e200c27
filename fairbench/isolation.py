"""The process's own settings, kept from strangers' code: each cell and each import begins with the same ones.

What is watched is what libraries and scripts are known to change; the global random generators are not among it, since
each cell seeds them. Out of reach are functions that are replaced within other modules, and threads that go on.
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
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache, partial
from types import FrameType
from typing import Any, Callable, NamedTuple, NoReturn, Optional

from fairbench.output import output_on_stderr

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
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_UNKNOWN = object()


class _Setting(NamedTuple):
    """One thing to keep: what a sentence calls it, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


@contextmanager
def process_state_kept() -> Iterator[list[str]]:
    """Put every setting of the process back when the block ends, and show what the block prints on stderr.

    A child process that the block has forked, and that comes to the block's end as if it were the harness, ends there.
    A signal of an alarm that nothing handles raises ``TimeoutError`` within the block instead of ending the process.

    Yields:
        A list that at the end of the block holds the names of what had been changed, e.g. ``the working directory``.
    """
    changed: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(_settings_kept(changed))
        stack.enter_context(output_on_stderr())
        stack.enter_context(_alarms_kept(changed))
        stack.enter_context(_no_return_of_forks())
        yield changed


@contextmanager
def _no_return_of_forks() -> Iterator[None]:
    process = os.getpid()
    try:
        yield
    finally:
        end_if_forked(process)


def end_if_forked(process: int) -> None:
    """End this process at once if it is not the one named but a fork of it, whatever that was about to do."""
    if os.getpid() != process:
        os._exit(1)


# -------------------------------------------------------------------- signals


def _alarm(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise TimeoutError(f"{signal.Signals(number).name}: an alarm that was set here went off, and nothing handles it")


def _handlers() -> Handlers:
    return {number: signal.getsignal(number) for number in _SIGNALS}


@contextmanager
def _alarms_kept(changed: list[str]) -> Iterator[None]:
    """End the alarms that the block leaves behind, and give every signal its handler and the mask back."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no handler can be set
        return
    pending = {timer for timer in _TIMERS.values() if any(signal.getitimer(timer))}
    before, mask = _handlers(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    guarded: Handlers = {number: _alarm for number in _TIMERS if before[number] is signal.SIG_DFL}
    for number, handler in guarded.items():
        signal.signal(number, handler)
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
        if left != {**before, **guarded}:
            changed.append("a signal handler")
        for number, handler in before.items():
            if handler is not None and left[number] is not handler:  # None: set by native code
                signal.signal(number, handler)
        if signal.pthread_sigmask(signal.SIG_SETMASK, mask) != mask:
            changed.append("the signal mask")


def _end_timers(kept: set[int]) -> bool:
    """Stop every timer but those kept; return whether one was running."""
    left = [signal.setitimer(timer, 0) for timer in _TIMERS.values() if timer not in kept]
    return any(map(any, left))


# -------------------------------------------------------------------- settings


@contextmanager
def _settings_kept(changed: list[str]) -> Iterator[None]:
    before = [(setting, _read(setting)) for setting in _settings()]
    known, modules = {setting.name for setting, _ in before}, len(sys.modules)
    try:
        yield
    finally:
        before += _at_import(known)
        _keep_what_imports_add(before, len(sys.modules) > modules)
        for setting, value in before:
            if not _same(value, _read(setting)):
                changed.append(setting.name)
                with suppress(Exception):  # e.g. a working directory that is gone
                    setting.write(value)


def _read(setting: _Setting) -> Any:
    try:
        return setting.read()
    except Exception:  # whatever the library says; then there is nothing to put back
        return _UNKNOWN


def _same(before: Any, now: Any) -> bool:
    try:
        return before is _UNKNOWN or bool(before == now)
    except Exception:  # e.g. arrays among the values
        return False


def _settings() -> list[_Setting]:
    """Return what can be kept of the libraries that are loaded by now."""
    return _settings_of(tuple(library for library in _LIBRARIES if library in sys.modules))


@lru_cache(maxsize=4)
def _settings_of(libraries: Sequence[str]) -> list[_Setting]:
    found = list(_PLAIN)
    for library in libraries:
        found += _LIBRARIES[library](sys.modules[library])
    return found


def _at_import(known: set[str]) -> list[tuple[_Setting, Any]]:
    """Return the settings that torch has when it is imported, for one that was imported within the block."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    torch: Any = sys.modules.get("torch")
    if torch is None or "torch's default dtype" in known:
        return []
    fresh = {
        "torch's default dtype": torch.float32,
        "torch's default device": torch.device("cpu"),
        "torch's number of threads": int(threads) if threads.isdigit() else _UNKNOWN,
        "torch's grad mode": True,
        "torch's deterministic algorithms": (False, False),
    }
    return [(setting, fresh[setting.name]) for setting in _torch(torch) if setting.name in fresh]


def _attribute(owner: Any, name: str, words: str) -> _Setting:
    return _Setting(words, partial(getattr, owner, name), partial(setattr, owner, name))


def _mapping(words: str, owner: Any) -> _Setting:
    """Keep the items of a mapping."""

    def write(before: Mapping[Any, Any]) -> None:
        for name in set(owner) - set(before):
            del owner[name]
        for name, value in before.items():
            if owner.get(name, owner) is not value:
                owner[name] = value

    return _Setting(words, lambda: dict(owner), write)


def _write_environment(before: Mapping[bytes, bytes]) -> None:
    _mapping("", os.environb).write(before)
    time.tzset()


def _write_filters(before: list[Any]) -> None:
    warnings.resetwarnings()  # which also makes Python forget what it has looked up
    warnings.filters[:] = before  # type: ignore[index]


def _general(entry: Any) -> bool:
    """Return whether a warnings filter is about more than some library's own messages."""
    return entry[1] is None and entry[3] is None and getattr(entry[2], "__module__", "") == "builtins"


def _keep_what_imports_add(before: list[tuple[_Setting, Any]], imported: bool) -> None:
    """Let an imported library keep the variables of its own in the environment, and filters of its own warnings.

    scikit-learn and torch set some when they are imported, which happens once, in whatever cell comes first.
    """
    for place, (setting, value) in enumerate(before):
        if setting.name == "the environment" and imported:
            before[place] = setting, {**os.environb, **value}
        if setting.name == "the warnings filters" and value != warnings.filters:
            own = [entry for entry in warnings.filters if entry not in value and not _general(entry)]
            if [entry for entry in warnings.filters if entry not in own] == value:
                before[place] = setting, list(warnings.filters)
            else:
                before[place] = setting, own + value


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _limits() -> dict[int, tuple[int, int]]:
    return {limit: resource.getrlimit(limit) for limit in _LIMITS}


def _write_limits(before: Mapping[int, tuple[int, int]]) -> None:
    for limit, values in before.items():
        with suppress(OSError, ValueError):  # a hard limit cannot be raised again
            resource.setrlimit(limit, (values[0], resource.getrlimit(limit)[1]))


_PLAIN = [
    _Setting("the working directory", os.getcwd, os.chdir),
    _Setting("the environment", lambda: dict(os.environb), _write_environment),
    _Setting("the warnings filters", lambda: list(warnings.filters), _write_filters),
    _attribute(os, "environ", "os.environ"),
    _attribute(warnings, "showwarning", "warnings.showwarning"),
    _Setting("the locale", partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    _Setting("the umask", _umask, os.umask),
    _Setting("a resource limit", _limits, _write_limits),
    _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting("the switch interval", sys.getswitchinterval, sys.setswitchinterval),
    _Setting("sys.path", lambda: list(sys.path), lambda before: sys.path.__setitem__(slice(None), before)),
    _Setting("sys.argv", lambda: list(sys.argv), lambda before: setattr(sys, "argv", before)),
    _attribute(sys, "excepthook", "sys.excepthook"),
    _attribute(sys, "displayhook", "sys.displayhook"),
    _attribute(sys, "unraisablehook", "sys.unraisablehook"),
    _attribute(threading, "excepthook", "threading.excepthook"),
    _Setting("the trace function", lambda: (sys.gettrace(),), lambda before: sys.settrace(*before)),
    _Setting("the profile function", lambda: (sys.getprofile(),), lambda before: sys.setprofile(*before)),
    _mapping("a built-in function", vars(builtins)),
    _Setting("the garbage collector", gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    _Setting("the garbage collector's thresholds", gc.get_threshold, lambda before: gc.set_threshold(*before)),
]
if hasattr(os, "sched_getaffinity"):
    _PLAIN.append(_Setting("the processors", partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)))


# -------------------------------------------------------------------- libraries


def _numpy(numpy: Any) -> list[_Setting]:
    def write_options(before: Mapping[str, Any]) -> None:
        numpy.set_printoptions(**{name: value for name, value in before.items() if name != "override_repr"})

    found = [
        _Setting("numpy's error state", numpy.geterr, lambda before: numpy.seterr(**before)),
        _Setting("numpy's error function", lambda: (numpy.geterrcall(),), lambda before: numpy.seterrcall(*before)),
        _Setting("numpy's print options", numpy.get_printoptions, write_options),
    ]
    if hasattr(numpy.random, "get_bit_generator"):  # numpy 1.24
        read, write = numpy.random.get_bit_generator, numpy.random.set_bit_generator
        found.append(_Setting("numpy's bit generator", read, write))
    return found


def _torch(torch: Any) -> list[_Setting]:
    def read_deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def write_deterministic(before: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])

    found = [
        _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
        _Setting("torch's deterministic algorithms", read_deterministic, write_deterministic),
        _Setting("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        # A float below the smallest normal one halves to 0 only where the processor flushes.
        _Setting("the flushing of denormal numbers", lambda: sys.float_info.min / 2 == 0, torch.set_flush_denormal),
    ]
    if hasattr(torch, "get_default_device"):  # torch 2.3
        found.append(_Setting("torch's default device", torch.get_default_device, torch.set_default_device))
    return found


def _pandas(pandas: Any) -> list[_Setting]:
    values = getattr(sys.modules.get("pandas._config.config"), "_global_config", {})  # asking for each takes long

    def write(before: Any) -> None:
        for name, value in _leaves("", before):
            if pandas.get_option(name) != value:
                pandas.set_option(name, value)

    return [_Setting("pandas' options", lambda: _copied(values), write)]


def _copied(tree: Any) -> Any:
    return {name: _copied(branch) for name, branch in tree.items()} if isinstance(tree, dict) else tree


def _leaves(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}.", value)
        else:
            yield prefix + name, value


def _sklearn(sklearn: Any) -> list[_Setting]:
    return [_Setting("scikit-learn's configuration", sklearn.get_config, lambda before: sklearn.set_config(**before))]


def _decimal(decimal: Any) -> list[_Setting]:
    def read() -> Any:
        context = decimal.getcontext()
        names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
        return {name: getattr(context, name) for name in names}, dict(context.traps)

    def write(before: Any) -> None:
        context = decimal.getcontext()
        for name, value in before[0].items():
            setattr(context, name, value)
        context.traps.update(before[1])

    return [_Setting("the decimal context", read, write)]


def _logging(logging: Any) -> list[_Setting]:
    root = logging.root

    def write(before: Any) -> None:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        logging.disable(before[2])

    return [_Setting("the root logger", lambda: (list(root.handlers), root.level, root.manager.disable), write)]


def _multiprocessing(multiprocessing: Any) -> list[_Setting]:
    return [
        _Setting(
            "the start method of multiprocessing",
            lambda: (multiprocessing.get_start_method(allow_none=True),),
            lambda before: multiprocessing.set_start_method(*before, force=True),
        )
    ]


_LIBRARIES: dict[str, Callable[[Any], list[_Setting]]] = {
    "numpy": _numpy,
    "torch": _torch,
    "pandas": _pandas,
    "sklearn": _sklearn,
    "decimal": _decimal,
    "logging": _logging,
    "multiprocessing": _multiprocessing,
}

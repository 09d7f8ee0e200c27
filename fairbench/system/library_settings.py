"""Settings of libraries that are protected from plugins' code (see ``isolation``): how each is read and written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any, Callable, NamedTuple

AUTOCAST = ("cpu", "cuda")


def _as_before(before: Any, now: Any) -> Any:
    return before


class Setting(NamedTuple):
    """One setting to protect: its name in sentences, and how it is read and written.

    ``wanted`` computes the value to restore from the old and the new value, if a change is only partly undone.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    wanted: Callable[[Any, Any], Any] = _as_before


def attribute(owner: Any, name: str, words: str) -> Setting:
    """Keep an attribute, by identity or else by value."""
    # in a tuple, which compares objects before it asks them
    return Setting(words, lambda: (getattr(owner, name),), lambda before: setattr(owner, name, *before))


def put_back(owner: Any, before: Mapping[Any, Any]) -> None:
    """Give a mapping exactly these items."""
    for name in set(owner) - set(before):
        del owner[name]
    for name, value in before.items():
        if owner.get(name, owner) is not value:
            owner[name] = value


def _numpy(numpy: Any) -> list[Setting]:
    def write_options(before: Mapping[str, Any]) -> None:
        numpy.set_printoptions(**{name: value for name, value in before.items() if name != "override_repr"})

    found = [
        Setting("numpy's error state", numpy.geterr, lambda before: numpy.seterr(**before)),
        Setting("numpy's error function", lambda: (numpy.geterrcall(),), lambda before: numpy.seterrcall(*before)),
        Setting("numpy's print options", numpy.get_printoptions, write_options),
    ]
    if hasattr(numpy.random, "get_bit_generator"):  # numpy 1.24
        read, write = numpy.random.get_bit_generator, numpy.random.set_bit_generator
        found.append(Setting("numpy's bit generator", read, write))
    return found


def torch_settings(torch: Any) -> list[Setting]:
    """Return the protected settings of torch."""

    def read_deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def write_deterministic(before: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])

    def write_autocast(before: Sequence[bool]) -> None:
        for device, enabled in zip(AUTOCAST, before):
            torch.set_autocast_enabled(device, enabled)

    def write_hooks(before: Mapping[str, Mapping[Any, Any]]) -> None:
        for name, hooks in module_hooks(torch).items():
            put_back(hooks, before[name])

    found = [
        Setting("torch's autocast", lambda: [*map(torch.is_autocast_enabled, AUTOCAST)], write_autocast),
        Setting(
            "torch's hooks of all modules",
            lambda: {name: dict(hooks) for name, hooks in module_hooks(torch).items()},
            write_hooks,
        ),
        attribute(torch.backends.cudnn, "deterministic", "cuDNN's deterministic mode"),
        attribute(torch.backends.cudnn, "benchmark", "cuDNN's benchmark mode"),
        attribute(torch.backends.cudnn, "enabled", "whether torch uses cuDNN"),
        attribute(torch.backends.mkldnn, "enabled", "whether torch uses MKL-DNN"),
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
        Setting("torch's deterministic algorithms", read_deterministic, write_deterministic),
        Setting("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        # A float below the smallest normal one halves to 0 only where the processor flushes.
        Setting("the flushing of denormal numbers", lambda: sys.float_info.min / 2 == 0, torch.set_flush_denormal),
    ]
    if hasattr(torch.multiprocessing, "set_sharing_strategy"):  # not on every system
        read, write = torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy
        found.append(Setting("how torch shares tensors", read, write))
    if hasattr(torch, "get_default_device"):  # torch 2.3
        found.append(Setting("torch's default device", torch.get_default_device, torch.set_default_device))
    return found


def module_hooks(torch: Any) -> dict[str, dict[Any, Any]]:
    """Return what torch does for every module of the process, by the name of its list."""
    known = vars(torch.nn.modules.module)
    return {name: known[name] for name in _hook_names(torch) if isinstance(known[name], dict)}


@lru_cache(maxsize=1)
def _hook_names(torch: Any) -> list[str]:
    return [name for name in vars(torch.nn.modules.module) if name.startswith("_global_")]


def _threadpoolctl(threadpoolctl: Any) -> list[Setting]:
    libraries = threadpoolctl.ThreadpoolController().lib_controllers
    torch: Any = sys.modules.get("torch")
    torchs = os.path.join(os.path.dirname(os.path.realpath(torch.__file__)), "") if torch else os.devnull
    own = [library for library in libraries if not library.filepath.startswith(torchs)]  # torch's are kept by torch

    def write(before: Sequence[int]) -> None:
        for library, threads in zip(own, before):
            library.set_num_threads(threads)

    name = "the number of threads of BLAS or OpenMP"
    return [Setting(name, lambda: [library.num_threads for library in own], write)]


def _pandas(pandas: Any) -> list[Setting]:
    values = getattr(sys.modules.get("pandas._config.config"), "_global_config", {})  # asking for each takes long

    def write(before: Any) -> None:
        for name, value in _leaves("", before):
            if pandas.get_option(name) != value:
                pandas.set_option(name, value)

    copies: list[dict[str, Any]] = [{}]

    def read() -> dict[str, Any]:
        if copies[0] != values:  # to compare takes a fifth of the time that a copy takes
            copies[0] = _copied(values)
        return copies[0]

    return [Setting("pandas' options", read, write)]


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(branch) if isinstance(branch, dict) else branch for name, branch in tree.items()}


def _leaves(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}.", value)
        else:
            yield prefix + name, value


def _sklearn(sklearn: Any) -> list[Setting]:
    return [Setting("scikit-learn's configuration", sklearn.get_config, lambda before: sklearn.set_config(**before))]


def _decimal(decimal: Any) -> list[Setting]:
    def read() -> Any:
        context = decimal.getcontext()
        names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
        return {name: getattr(context, name) for name in names}, dict(context.traps)

    def write(before: Any) -> None:
        context = decimal.getcontext()
        for name, value in before[0].items():
            setattr(context, name, value)
        context.traps.update(before[1])

    return [Setting("the decimal context", read, write)]


def _logging(logging: Any) -> list[Setting]:
    root = logging.root

    def write(before: Any) -> None:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        logging.disable(before[2])

    return [Setting("the root logger", lambda: (list(root.handlers), root.level, root.manager.disable), write)]


def _multiprocessing(multiprocessing: Any) -> list[Setting]:
    return [
        Setting(
            "the start method of multiprocessing",
            lambda: (multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0],),
            lambda before: multiprocessing.set_start_method(*before, force=True),
        )
    ]


def _socket(socket: Any) -> list[Setting]:
    return [Setting("the default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout)]


def _ssl(ssl: Any) -> list[Setting]:
    return [attribute(ssl, "_create_default_https_context", "the checks of https")]  # what urllib opens with


def _tempfile(tempfile: Any) -> list[Setting]:
    return [Setting("tempfile's folder", tempfile.gettempdir, lambda before: setattr(tempfile, "tempdir", before))]


LIBRARIES: dict[str, Callable[[Any], list[Setting]]] = {
    "numpy": _numpy,
    "torch": torch_settings,
    "threadpoolctl": _threadpoolctl,
    "pandas": _pandas,
    "sklearn": _sklearn,
    "decimal": _decimal,
    "logging": _logging,
    "multiprocessing": _multiprocessing,
    "socket": _socket,
    "ssl": _ssl,
    "tempfile": _tempfile,
}


@lru_cache(maxsize=1)
def load_libraries() -> None:
    """Import these libraries, so that whoever changes one when it imports it first is seen."""
    for library in LIBRARIES:
        with suppress(Exception):  # not installed, or broken
            import_module(library)

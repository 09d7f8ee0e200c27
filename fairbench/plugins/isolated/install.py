"""Making and removing the environments of isolated plugins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from fairbench.errors import FairbenchError, PluginError, UnknownName
from fairbench.plugins.isolated.client import MethodFailed, Process, ProcessFailed
from fairbench.plugins.isolated.environments import Environment, again, environment_of, found_environments, python_of
from fairbench.plugins.isolated.wheels import canonical, harness_wheel, read_toml, script_name, script_wheel
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.registry import Plugin
from fairbench.system.cache import environments_directory
from fairbench.texts import last_line

LAST_WORDS = 15  # lines of a failed command
_REQUIREMENT = re.compile(r"([A-Za-z0-9]|[A-Za-z0-9][\w.-]*[A-Za-z0-9])\s*($|[\[<>=!~@;(\s])")


@dataclass(frozen=True)
class Wanted:
    """What to install.

    Args:
        target: a folder with a package, a wheel, a Python file, or a requirement such as ``acme-fair>=2``.
        interpreter: the Python to use, a path or a command; empty for that of fairbench.
        layered: whether libraries that the plugin does not ask for in another version come from beside fairbench.
        upgrade: whether an environment of that name is replaced.
    """

    target: str
    interpreter: str = ""
    layered: bool = False
    upgrade: bool = False


def install(wanted: Wanted) -> tuple[Environment, list[str]]:
    """Make an environment with a plugin in it; return it, and sentences about what of the plugin cannot be used.

    It is built beside its place and moved there at the end. If anything goes wrong, what was there before stays.

    Raises:
        PluginError: it is there already, the plugin brings no method, a method's name is taken, or a command failed.
    """
    wanted, name = _named(wanted)
    place = environments_directory() / name
    if place.exists() and not wanted.upgrade:
        raise PluginError(f"the isolated plugin {name} is installed already, in {place}; {again(name)}")
    with _workplace(name) as folder:
        _make(folder, wanted)
        process = _started(name, folder)
        try:
            about = process.about
        finally:
            process.kill()
        if not about["methods"]:
            brought = f"only {', '.join(about['others'])}" if about["others"] else "nothing"
            reason = "; ".join(about["problems"]) or f"it brings {brought}: it has no entry point in group 'fairbench'"
            if about["others"]:
                reason = f"it brings {brought}, and only methods can be isolated"
            raise PluginError(f"the isolated plugin {name} has no method that can be used: {reason}")
        environment = Environment(
            name=name,
            version=about["distributions"].get(name) or next(iter(about["distributions"].values())),
            origin=wanted.target,
            python=about["python"],
            interpreter=wanted.interpreter,
            layered=wanted.layered,
            files=about["files"],
            versions=about["versions"],
            methods=about["methods"],
        )
        _refuse_taken_names(environment)
        environment.write(folder)
        _put_in_place(folder, place)
    said = [f"left out: {problem}" for problem in about["problems"]]
    if about["others"]:
        said.append(f"left out: its {', '.join(about['others'])}; only methods can be isolated")
    return environment, said


def remove(name: str) -> None:
    """Remove an environment.

    Raises:
        UnknownName: there is none of this name.
        PluginError: its files cannot be removed.
    """
    known = [found.name for found in found_environments()]
    if canonical(name) not in known:
        hint = f" (there {'are ' + ', '.join(known) if known else 'is none'}; other plugins go with 'pip uninstall')"
        raise UnknownName("isolated plugin", name, known, hint)
    place = environments_directory() / canonical(name)
    with _file_errors():
        trash = place.with_name(f".{place.name}.old")
        shutil.rmtree(trash, ignore_errors=True)
        place.rename(trash)  # gone at once, whatever becomes of the rest
        shutil.rmtree(trash)


def _named(wanted: Wanted) -> tuple[Wanted, str]:
    """Return what to install, its path absolute, and the name of its environment."""
    target = wanted.target.strip()
    path = Path(target).expanduser()
    earlier = {found.name: found.manifest for found in found_environments()}
    if wanted.upgrade and canonical(target) in earlier and not path.exists():  # by its name alone
        environment = environment_of(canonical(target), earlier[canonical(target)])
        interpreter = wanted.interpreter or environment.interpreter
        layered = wanted.layered or environment.layered
        return replace(wanted, target=environment.origin, interpreter=interpreter, layered=layered), environment.name
    if path.exists() or (os.sep in target and "://" not in target) or target.endswith((".py", ".whl")):
        if not path.exists():
            raise PluginError(f"{target}: no such file or folder")
        return replace(wanted, target=str(path.absolute())), _name_of(path)
    found = _REQUIREMENT.match(target)
    if found is None:
        raise PluginError(
            f"{target!r} is neither a file or folder nor a requirement such as 'acme-fair>=2' or 'acme-fair @ https://…'"
        )
    return replace(wanted, target=target), canonical(found[1])


def _name_of(path: Path) -> str:
    """Return the name of the distribution that a file or folder makes."""
    if path.suffix == ".py" and path.is_file():
        return script_name(path)
    if path.suffix == ".whl" and path.is_file():
        return canonical(path.name.partition("-")[0])
    if not any((path / file).is_file() for file in ("pyproject.toml", "setup.py")):
        raise PluginError(f"{path} is no plugin: name a Python file, a wheel, or a folder with a pyproject.toml")
    try:
        name = read_toml((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        return canonical(str(name))
    except KeyError as error:
        raise PluginError(f"{path / 'pyproject.toml'} has no name in [project]") from error
    except (OSError, ValueError, TypeError) as error:
        raise PluginError(f"{path / 'pyproject.toml'}: {error}") from error


@contextmanager
def _workplace(name: str) -> Iterator[Path]:
    """Yield a folder beside the environment's place that nobody else uses; it is gone afterwards."""
    from filelock import FileLock, Timeout

    folder = environments_directory() / f".{name}.partial"
    with _file_errors():
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_suffix(".lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise PluginError(f"another process is installing {name}; wait for it") from error
        try:
            shutil.rmtree(folder, ignore_errors=True)  # of an installation that was killed
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or environments_directory()
        raise PluginError(
            f"{where}: {error.strerror or error}; environments are kept in {environments_directory()}, and "
            "FAIRBENCH_ENVIRONMENTS names another folder"
        ) from error


def _make(folder: Path, wanted: Wanted) -> None:
    """Make a virtual environment, and install the plugin in it beside a fairbench without its requirements."""
    chosen = wanted.interpreter or sys.executable
    python, uv = str(python_of(folder)), shutil.which("uv")
    if wanted.layered:
        uv = None  # which would not see the libraries beside fairbench
        pip = ["--without-pip"] if find_spec("pip") else []
        _call([chosen, "-m", "venv", *pip, str(folder)], "make a virtual environment")
        _layer(folder)
    elif uv:
        _call([uv, "venv", "--quiet", "--python", chosen, str(folder)], "make a virtual environment")
    else:
        _call([chosen, "-m", "venv", str(folder)], "make a virtual environment")
    wheels = folder / "wheels"
    wheels.mkdir()
    target = Path(wanted.target)
    what = str(script_wheel(wheels, target)) if target.suffix == ".py" and target.is_file() else wanted.target
    installer = [uv, "pip", "install", "--quiet", "--python", python]
    if not uv:
        installer = [python, "-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    _call([*map(str, installer), str(harness_wheel(wheels)), what], f"install {wanted.target}")
    shutil.rmtree(wheels)


def _layer(folder: Path) -> None:
    """Let the environment fall back on what is installed beside fairbench; its own libraries come first."""
    ask = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_path('purelib'))"
    major, minor, place = _call([str(python_of(folder)), "-I", "-c", ask], "start its Python").split(maxsplit=2)
    own = sys.version_info
    if (int(major), int(minor)) != own[:2]:
        raise PluginError(
            f"a layered environment shares fairbench's libraries, so its Python must be {own[0]}.{own[1]}, not "
            f"{major}.{minor}; leave out --layered or --python"
        )
    folders = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    lines = [f"import site; site.addsitedir({shared!r})" for shared in folders]  # whose own .pth files count too
    Path(place.strip(), "fairbench_layer.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _call(command: Sequence[str], what: str) -> str:
    """Run a command, and return what it printed.

    Raises:
        PluginError: it failed; the message ends with its last words.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(  # noqa: S603 - an installer, with what the user asked for
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
    except OSError as error:
        raise PluginError(f"cannot {what}: {command[0]}: {error.strerror}") from error
    printed = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        words = printed.strip().splitlines()[-LAST_WORDS:]
        raise PluginError("\n  ".join([f"cannot {what}; the last words of {Path(command[0]).name}:", *words]))
    return printed


def _started(name: str, folder: Path) -> Process:
    try:
        return Process(name, folder)
    except (ProcessFailed, MethodFailed) as error:
        raise PluginError(f"{name} was installed, but cannot be loaded: {error}") from error
    except FairbenchError as error:
        raise PluginError(f"{name} was installed, but cannot be loaded: {last_line(str(error))}") from error


def _refuse_taken_names(environment: Environment) -> None:
    """Refuse a method whose name another plugin has."""
    registry, _ = load_plugins()
    own = Plugin(f"{environment.name} (isolated)", f"{environment.name} (isolated)", environment.version)
    for name in (about["name"] for about in environment.methods):
        if name in registry.names("methods"):
            taken = registry.origin("methods", name)
            if taken.name != own.name:
                raise PluginError(f"two methods are named {name!r}: {taken} and {own}; rename one")


def _put_in_place(folder: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    folder.rename(place)
    shutil.rmtree(old, ignore_errors=True)

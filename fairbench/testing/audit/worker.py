"""The process of an audit: an ordinary run, and a file that reports what the methods' code did."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

REFUSED = 2  # exit status where nothing was run


def main() -> None:
    """Run what the first argument describes in JSON; see ``verdict``."""
    settings = json.loads(sys.argv[1])
    sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd())]  # nothing is imported from there
    sys.argv = ["fairbench", *settings["words"]]  # as when a user runs the methods
    from fairbench.analysis import export  # noqa: F401 - loaded, so that what replaces its parts is seen
    from fairbench.cells import Choice
    from fairbench.choices import parse_choices
    from fairbench.errors import FairbenchError
    from fairbench.plugins.loading import load_plugins
    from fairbench.running.session import Session, Settings, chosen_suite
    from fairbench.testing.audit.watch import Watch, functions, replaced

    report = os.open(settings["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    names = [choice.name for choice in parse_choices(settings["methods"])]
    files: dict[str, str] = {}

    def told(file: str, what: str) -> None:
        by = [name for name in names if files.get(name) == file] or names
        os.write(report, (json.dumps({"methods": by, "what": what}) + "\n").encode())

    watch = Watch(told, settings["places"])
    watch.roots = [os.path.dirname(os.path.abspath(file)) for file in settings["plugins"]]
    sys.addaudithook(watch)
    before = functions()
    try:
        with suppress(FairbenchError):  # which the command explains better
            registry, _ = load_plugins([*settings["plugins"], settings["data"]])
            known = [name for name in names if name in registry.names("methods")]
            modules = {name: sys.modules[registry.get("methods", name).__module__] for name in known}
            files.update({name: os.path.abspath(module.__file__ or "") for name, module in modules.items()})
            roots = [_root(vars(module)) for module in modules.values()]
            loaded = [sys.modules[plugin.name] for plugin in registry.plugins if plugin.name in sys.modules]
            watch.others += [root for root in map(_root, map(vars, loaded)) if root not in roots]
            watch.roots += roots
        plugins = (settings["data"], *settings["plugins"])
        session = Session(Settings(executor=Choice("serial"), offline=True, plugins=plugins))
        listed = {name: tuple(value) if isinstance(value, list) else value for name, value in settings["suite"].items()}
        suite = chosen_suite(None, listed)
        ended = session.run(session.plan(suite), Path(settings["out"]))
        sys.exit(0 if ended.complete else 1)
    except FairbenchError as error:
        print(f"fairbench: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    finally:
        for file, what in replaced(before):
            told(file, what)


def _root(module: Mapping[str, Any]) -> str:
    """Return the folder of the package that a module belongs to, or its file if it has no package."""
    package = sys.modules.get((module.get("__package__") or "").partition(".")[0])
    folder = next(iter(getattr(package, "__path__", ())), None)
    return os.path.abspath(folder or module["__file__"] or "")


if __name__ == "__main__":
    main()

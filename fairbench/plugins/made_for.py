"""The API version that a plugin was written for, from its ``FAIRBENCH_API = 1``; without it, any is accepted."""

from __future__ import annotations

import re
from typing import Any, Optional

from fairbench.errors import PluginError
from fairbench.version import API_VERSION, OLDEST_API, __version__

DECLARATION = "FAIRBENCH_API"
_LINE = re.compile(rb"^FAIRBENCH_API\s*(?::[^=\n]*)?=\s*(\d{1,9})\s*(?:#.*)?$", re.MULTILINE)


class MadeForNewer(PluginError):
    """A plugin was made for a later API than this one."""


def check_api(declared: Any) -> None:
    """Refuse a plugin that was made for an API that this fairbench does not have yet, or no longer has.

    Args:
        declared: its ``FAIRBENCH_API``; None if it declares nothing.

    Raises:
        MadeForNewer: the API is a later one.
        PluginError: the API is too old, or the declared version is not a whole number.
    """
    if declared is None:
        return
    if not isinstance(declared, int) or isinstance(declared, bool):
        raise PluginError(f"{DECLARATION} is {declared!r}; it must be a whole number, e.g. {API_VERSION}")
    made, this = f"it was made for version {declared} of the plugin API", f"fairbench-harness {__version__}"
    if declared > API_VERSION:
        raise MadeForNewer(
            f"{made}, and {this} has version {API_VERSION}; upgrade with: pip install --upgrade fairbench-harness"
        )
    if declared < OLDEST_API:
        raise PluginError(
            f"{made}, and {this} takes versions from {OLDEST_API} on; look for a newer version of the plugin "
            "(fairbench's CHANGELOG.md says what its author must change)"
        )


def declared_in(source: bytes) -> Optional[int]:
    """Return the ``FAIRBENCH_API`` that a module's source declares; the module itself may fail to import."""
    found = _LINE.search(source)
    return int(found[1]) if found else None

"""Files that are replaced in one step, wherever a link of their name may lead."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in the place of another, or of a link, which is not followed: a run directory may be a stranger's.

    Raises:
        OSError: the folder cannot be written, or holds a folder of that name; what was there stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise

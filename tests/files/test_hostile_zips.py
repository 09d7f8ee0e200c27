"""Zips, folders and special files that somebody made to do harm: refused in words, by `data add` and by downloads."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from file_helpers import GOOD, adult, digest, left_in_cache, put

from fairbench.data import archives
from fairbench.data.adding import add_files
from fairbench.data.files import DataSource, cache_dir
from fairbench.data.sources import Archive
from fairbench.errors import DataError, NotApplicable

END, DIRECTORY, LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"


def packed(content: bytes = GOOD, method: int = zipfile.ZIP_DEFLATED, name: str = "adult.data") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("notes.txt", b"of no use")
        archive.writestr(name, content)
    return stream.getvalue()


def changed(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """Return a zip with a field of its last record of a kind changed."""
    place = content.rfind(signature) + offset
    return content[:place] + value + content[place + len(value) :]


def encrypted() -> bytes:
    return changed(changed(packed(), LOCAL, 6, b"\1\0"), DIRECTORY, 8, b"\1\0")


def names_that_are_no_utf8() -> bytes:
    content = packed(name="ädult.data")
    return content.replace("ä".encode(), b"\xff\xff")


def overlapping() -> bytes:
    """Return a zip whose two members begin at the same place."""
    return changed(packed(), DIRECTORY, 42, struct.pack("<I", 0))


def zip64_nonsense() -> bytes:
    content = packed()
    place = content.rfind(END)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1 << 60, 1 << 60, 1 << 61, 1 << 62)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, place, 1)
    return content[:place] + record + locator + content[place:]


HOSTILE = {
    "lzma": packed(method=zipfile.ZIP_LZMA),
    "bzip2": packed(method=zipfile.ZIP_BZIP2),
    "a bomb of bzip2": packed(bytes(50_000_000), zipfile.ZIP_BZIP2),
    "a bomb of deflate": packed(bytes(50_000_000)),
    "an unknown method": changed(changed(packed(), LOCAL, 8, b"\x63\0"), DIRECTORY, 10, b"\x63\0"),
    "encrypted": encrypted(),
    "names that are no UTF-8": names_that_are_no_utf8(),
    "overlapping": overlapping(),
    "zip64 nonsense": zip64_nonsense(),
    "truncated": packed()[:-30],
    "a directory that is cut": packed()[: packed().rfind(DIRECTORY) + 20] + packed()[packed().rfind(END) :],
    "a size that lies": changed(packed(), DIRECTORY, 24, struct.pack("<I", 5)),
    "a packed size that lies": changed(packed(), DIRECTORY, 20, struct.pack("<I", 1 << 31)),
    "a place beyond the end": changed(packed(), DIRECTORY, 42, struct.pack("<I", 1 << 30)),
    "a directory beyond the end": changed(packed(), END, 12, struct.pack("<II", 1 << 31, 1 << 31)),
    "no zip": b"PK\x03\x04" + os.urandom(100),
    "empty": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_in_words(server, places, kind):
    content = HOSTILE[kind]
    (places / "brought.zip").write_bytes(content)
    with pytest.raises(DataError) as added:
        add_files([adult(bytes=len(GOOD))], places / "brought.zip", cache_dir())
    server.answers["/adult.zip"] = content
    with pytest.raises(NotApplicable) as fetched:
        DataSource().fetch(
            adult(archive=Archive(server.url("/adult.zip"), "adult.data", digest(content)), bytes=len(GOOD))
        )
    for caught in (added, fetched):
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700
    assert left_in_cache() <= {f"{digest(content)}.zip", "adult.data.rejected"}


def test_a_zip_behind_something_else_is_read(places):
    (places / "brought.zip").write_bytes(b"#!/bin/sh\n" * 100 + packed())
    assert add_files([adult()], places / "brought.zip", cache_dir())[0].read_bytes() == GOOD


def test_a_zip_of_too_many_members_is_refused_before_they_are_read(places, monkeypatch):
    with zipfile.ZipFile(places / "brought.zip", "w") as archive:
        for number in range(200):
            archive.writestr(f"{number}", b"")
        archive.writestr("adult.data", GOOD)
    monkeypatch.setattr(archives, "LARGEST_DIRECTORY", 10_000)
    with pytest.raises(DataError, match="its directory is larger than 10000 bytes"):
        add_files([adult()], places / "brought.zip", cache_dir())


def test_any_change_of_bytes_is_read_rightly_or_refused_in_words(places):
    sound, chance, path = packed(GOOD[:600]), np.random.default_rng(11), places / "brought.zip"
    file = adult(content=GOOD[:600], bytes=600)
    read = 0
    for _ in range(400):
        content = bytearray(sound)
        for _ in range(chance.integers(1, 5)):
            content[chance.integers(len(content))] = chance.integers(256)
        path.write_bytes(content[: chance.choice([len(content), chance.integers(len(content))])])
        with suppress(DataError):
            read += add_files([file], path, places / "raw")[0].read_bytes() == GOOD[:600]
        (places / "raw/adult/adult.data").unlink(missing_ok=True)
    assert 0 < read < 400


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: os.symlink("/dev/zero", path)])
def test_a_pipe_or_a_device_is_not_opened(places, make):
    make(places / "adult.data")
    with pytest.raises(DataError, match="is neither a folder nor a file"):
        add_files([adult()], places / "adult.data", cache_dir())
    (places / "in").mkdir()
    make(places / "in/adult.data")
    with pytest.raises(DataError, match=r"adult\.data: is not in it"):
        add_files([adult()], places / "in", cache_dir())


def test_folders_that_lead_in_a_circle_or_very_deep_are_walked_once(places):
    put(places / "in", GOOD, "a/adult.data")
    os.symlink("..", places / "in/a/circle")
    os.symlink("loop", places / "in/loop")
    here = os.open(places / "in", os.O_RDONLY)
    try:
        for _ in range(1050):  # deeper than a recursion, or a path, can be
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    try:
        assert add_files([adult()], places / "in", cache_dir())[0].read_bytes() == GOOD
    finally:
        flatten(places / "in")


def flatten(folder: Path) -> None:
    """Take away what pytest could not remove: a folder whose path is too long."""
    while (folder / "d").exists():
        os.rename(folder / "d", folder / "first")
        if (folder / "first/d").exists():
            os.rename(folder / "first/d", folder / "d")
        os.rmdir(folder / "first")


def test_a_folder_that_cannot_be_read_is_told(places, monkeypatch):
    (places / "in").mkdir()
    monkeypatch.setattr(os, "scandir", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(DataError, match=r"in: cannot be read \(Permission denied\)"):
        add_files([adult()], places / "in", cache_dir())


def test_a_path_that_leads_out_of_the_folder_is_not_written(places):
    with pytest.raises(DataError, match="below a data folder"):
        add_files([replace(adult(), path="../adult.data")], put(places / "in").parent, cache_dir())


def test_names_with_control_characters_reach_no_message(places):
    with pytest.raises(DataError) as caught:
        add_files([adult()], places / "in\x1b[31m\n", cache_dir())
    assert str(caught.value).isprintable()

"""Raw files that a user brings: recognised by name and digest, from a folder or a zip, all of them or none."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from file_helpers import BAD, GOOD, digest, left_in_cache, put

from fairbench.data.adding import add_files
from fairbench.data.files import DataSource, cache_dir
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, NotApplicable

OTHER = b"id,count\n" * 1000
HOW = "accept the licence and run 'fairbench data add survey'"
FILES = (
    DataFile("survey/people.csv", digest(GOOD), bytes=len(GOOD), obtain=HOW),
    DataFile("survey/counts.csv", digest(OTHER), bytes=len(OTHER), obtain=HOW),
)
CONTENT = {"people.csv": GOOD, "counts.csv": OTHER}


def folder(path: Path, content: dict[str, bytes]) -> Path:
    for name, value in content.items():
        put(path, value, name)
    return path


def packed(path: Path, content: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return path


@pytest.fixture(params=["folder", "zip"])
def brought(request, places):
    """Return a function that puts content into a source of either kind."""
    if request.param == "folder":
        return lambda content: folder(places / "brought", content)
    return lambda content: packed(places / "brought.zip", content)


@pytest.mark.parametrize("below", ["", "release 3/", "survey/"])
def test_files_are_found_by_name_verified_and_taken_in(brought, below) -> None:
    source = brought({f"{below}{name}": value for name, value in CONTENT.items()} | {"notes.txt": b"of no use"})
    paths = add_files(FILES, source, cache_dir())
    assert paths == [cache_dir() / file.path for file in FILES]
    assert [path.read_bytes() for path in paths] == [GOOD, OTHER]
    assert left_in_cache() == set(CONTENT)
    assert [DataSource(offline=True).fetch(file) for file in FILES] == paths


def test_what_is_missing_or_wrong_is_named_and_nothing_is_copied(brought) -> None:
    source = brought({"people.csv": BAD})
    with pytest.raises(DataError) as caught:
        add_files(FILES, source, cache_dir())
    said = str(caught.value)
    assert said.startswith(f"{source}: people.csv: sha256 is {digest(BAD)[:12]}…, expected {digest(GOOD)[:12]}…")
    assert "counts.csv: is not in it; nothing was copied" in said
    assert said.endswith(HOW)
    assert "\n" not in said
    assert left_in_cache() == set()


def test_one_bad_file_keeps_the_good_one_out_and_the_old_one_in(brought) -> None:
    old = put(cache_dir(), BAD, "survey/people.csv")
    with pytest.raises(DataError, match="nothing was copied"):
        add_files(FILES, brought({**CONTENT, "counts.csv": BAD}), cache_dir())
    assert old.read_bytes() == BAD
    assert left_in_cache() == {"people.csv"}


def test_a_file_that_is_in_place_need_not_be_brought_again(brought) -> None:
    there = put(cache_dir(), GOOD, "survey/people.csv")
    assert add_files(FILES, brought({"counts.csv": OTHER}), cache_dir())[0] == there


def test_two_files_of_a_name_are_ambiguous(brought) -> None:
    with pytest.raises(DataError, match=r"people\.csv: is in it 2 times"):
        add_files(FILES, brought({**CONTENT, "old/people.csv": BAD}), cache_dir())


def test_a_larger_file_is_given_up(brought) -> None:
    with pytest.raises(DataError, match=rf"people.csv: is larger than {len(GOOD)} bytes"):
        add_files(FILES, brought({**CONTENT, "people.csv": GOOD * 20}), cache_dir())
    assert left_in_cache() == set()


@pytest.mark.parametrize("name", ["../../evil/people.csv", "/evil/people.csv"])
def test_a_name_in_a_zip_is_never_a_path(places, name) -> None:
    add_files(FILES, packed(places / "in" / "brought.zip", {name: GOOD, "counts.csv": OTHER}), cache_dir())
    assert not [path for path in places.rglob("people.csv") if cache_dir() not in path.parents]
    assert left_in_cache() == set(CONTENT)


def test_a_damaged_member_is_refused(places) -> None:
    source = packed(places / "brought.zip", CONTENT)
    with zipfile.ZipFile(source) as archive:
        start = archive.getinfo("people.csv").header_offset + 40
    content = bytearray(source.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    source.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"people.csv: cannot be read \("):
        add_files(FILES, source, cache_dir())


def test_an_encrypted_member_is_refused(places) -> None:
    source = packed(places / "brought.zip", CONTENT)
    content = source.read_bytes()
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag stands in both headers of a member
        for found in re.finditer(re.escape(signature), content):
            place = found.start() + offset
            content = content[:place] + bytes([content[place] | 1]) + content[place + 1 :]
    source.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        add_files(FILES, source, cache_dir())


def test_a_file_that_is_no_zip_is_refused(places) -> None:
    with pytest.raises(DataError, match="is neither a folder nor a zip that can be read"):
        add_files(FILES, put(places, GOOD, "people.csv"), cache_dir())


def test_a_folder_that_cannot_be_written_is_told(places, brought) -> None:
    put(places, b"", "cache")  # a file where the folder should be
    with pytest.raises(DataError, match="cannot be written"):
        add_files(FILES, brought(CONTENT), places / "cache")


def test_a_file_that_only_a_user_can_bring_is_never_asked_for(places, monkeypatch) -> None:
    monkeypatch.setattr("fairbench.data.downloads.Network.download", lambda *_: pytest.fail("asked the network"))
    for offline in (False, True):
        with pytest.raises(NotApplicable) as caught:
            DataSource(offline=offline).fetch(FILES[0])
        assert str(caught.value).endswith(f"({'the cache'}); {HOW}")

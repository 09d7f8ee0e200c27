"""Raw files out of archives, hostile ones too."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest
from file_helpers import BAD, GOOD, Server, adult, digest, left_in_cache

from fairbench.data import downloads
from fairbench.data.files import DataSource, cache_dir, fetch_all
from fairbench.data.sources import Archive, DataFile
from fairbench.errors import NotApplicable


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def in_archive(server: Server, content: bytes, member: str = "adult.data", **fields) -> DataFile:
    server.answers["/adult.zip"] = content
    return adult(archive=Archive(server.url("/adult.zip"), member, digest(content)), **fields)


def test_a_member_comes_out_of_an_archive_that_holds_an_evil_one(server, places):
    content = zipped({"../../evil": BAD, "/tmp/fairbench-evil": BAD, "adult.data": GOOD})
    before = {path for path in places.parent.rglob("*") if "evil" in path.name and not path.is_dir()}
    path = DataSource().fetch(in_archive(server, content))
    assert path.read_bytes() == GOOD
    assert left_in_cache() == {"adult.data", f"{digest(content)}.zip"}
    assert {path for path in places.parent.rglob("*") if "evil" in path.name and not path.is_dir()} == before
    assert not Path("/tmp/fairbench-evil").exists()


def test_a_member_with_an_evil_name_is_written_to_the_files_own_path(server):
    path = DataSource().fetch(in_archive(server, zipped({"../../evil": GOOD}), "../../evil"))
    assert path == cache_dir() / "adult/adult.data"


def test_a_member_that_is_a_link_is_taken_for_a_file_of_other_content(server, places):
    (places / "secret").write_bytes(GOOD)
    link = zipfile.ZipInfo("adult.data")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(link, str(places / "secret"))
    with pytest.raises(NotApplicable, match=r"adult\.data: sha256 is"):
        DataSource().fetch(in_archive(server, content.getvalue()))
    assert not any(path.is_symlink() for path in cache_dir().rglob("*"))


def test_a_member_that_unpacks_to_too_much_is_given_up(server, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST", 100_000)
    bomb = zipped({"adult.data": bytes(50_000_000)})  # 50 kB of zip
    with pytest.raises(NotApplicable, match="exceeds 100000 bytes"):
        DataSource().fetch(in_archive(server, bomb))
    assert left_in_cache() == {f"{digest(bomb)}.zip"}


def test_a_changed_archive_is_refused(server):
    file = in_archive(server, zipped({"adult.data": GOOD}))
    server.answers["/adult.zip"] = zipped({"adult.data": BAD})
    with pytest.raises(
        NotApplicable, match=r"the download is damaged or the source changed; kept as \w+\.zip\.rejected"
    ):
        DataSource().fetch(file)


def test_a_changed_member_and_a_missing_one_are_refused(server):
    with pytest.raises(NotApplicable, match=r"adult\.data: sha256 is"):
        DataSource().fetch(in_archive(server, zipped({"adult.data": BAD})))
    with pytest.raises(NotApplicable, match=r"adult\.zip: 'adult\.data' is not in it"):
        DataSource().fetch(in_archive(server, zipped({"other": GOOD})))


def test_what_is_no_zip_is_refused(server):
    with pytest.raises(NotApplicable, match="cannot be read"):
        DataSource().fetch(in_archive(server, BAD))


def test_an_archive_is_downloaded_once_for_all_its_members(server):
    content = zipped({"adult.data": GOOD, "adult.test": BAD})
    first = in_archive(server, content)
    second = DataFile(
        "adult/adult.test", digest(BAD), archive=Archive(server.url("/adult.zip"), "adult.test", digest(content))
    )
    fetched = fetch_all({"one": [first], "two": [second]}, DataSource())
    assert fetched["two"]["adult/adult.test"].read_bytes() == BAD
    assert server.asked == ["/adult.zip"]

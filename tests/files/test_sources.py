"""What a raw file declares is checked when it is declared, so that a fault names its file and costs only its plugin."""

from __future__ import annotations

import numpy as np
import pytest
from file_helpers import GOOD, adult, digest

from fairbench.data.files import DataSource
from fairbench.data.sources import Archive, DataFile, Wheel
from fairbench.errors import DataError

ZEROS = "0" * 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"urls": (None,)}, r"urls is \(None,\); give a tuple of addresses$"),
        ({"urls": (5,)}, r"urls is \(5,\)"),
        ({"urls": None}, "urls is None"),
        ({"urls": "http://x/"}, r"urls is 'http://x/'; give a tuple of addresses such as \('http://x/',\)$"),
        ({"bytes": "x"}, "bytes is 'x'; give the size, a whole number that is 0 or above, or None"),
        ({"bytes": -1}, "bytes is -1"),
        ({"bytes": True}, "bytes is True"),
        ({"bytes": 1.0}, "bytes is 1.0"),
        ({"archive": "http://x/a.zip"}, "archive is 'http://x/a.zip'; give an instance of Archive, or None"),
        ({"wheel": "aif360==0.6.1"}, "wheel is 'aif360==0.6.1'; give an instance of Wheel, or None"),
        ({"sha256": None}, "sha256 is None; give its 64 hexadecimal digits"),
        ({"sha256": b"0" * 64}, "sha256 is b'000"),
        ({"sha256": ""}, "sha256 is '', of length 0; give"),
        ({"sha256": "0" * 63}, "sha256 is '0*…, of length 63; give"),
        ({"sha256": "g" * 64}, "sha256 is 'g*…, of length 64; give"),
        ({"sha256": f"{ZEROS}\n"}, "sha256 is '0*…, of length 65"),
    ],
    ids=str,
)
def test_a_malformed_field_is_refused_by_the_files_path(fields, message):
    with pytest.raises(DataError, match=f"^the raw file 'net/net.csv': {message}"):
        DataFile(**{"path": "net/net.csv", "sha256": ZEROS, **fields})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataFile(5, ZEROS), "^the raw file 5: path is 5; give a text"),
        (
            lambda: DataFile("a/\ud800.csv", ZEROS),
            r"^the raw file 'a/\\ud800.csv': its path cannot be written as UTF-8",
        ),
        (lambda: Archive("http://x/a.zip", "a.csv", "0"), "^the zip file 'http://x/a.zip': sha256 is '0', of length 1"),
        (lambda: Archive(None, "a.csv", ZEROS), "^the zip file None: url is None; give a text"),
        (lambda: Archive("http://x/a.zip", None, ZEROS), "member is None; give a text"),
        (lambda: Wheel("a==1", "a.csv", ZEROS, "x"), "^the wheel 'a==1': bytes is 'x'"),
        (lambda: Wheel("a==1", "a.csv", None), "^the wheel 'a==1': sha256 is None"),
        (lambda: Wheel(None, "a.csv", ZEROS), "requirement is None; give a text"),
    ],
)
def test_paths_archives_and_wheels_are_checked_too(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_a_digest_in_capitals_is_the_same_digest(places):
    path = places / "given" / "adult" / "adult.data"
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    capitals = DataFile("adult/adult.data", digest(GOOD).upper())
    assert capitals == adult()
    assert DataSource(places / "given").find(capitals) == path


def test_lists_of_addresses_and_sizes_of_any_whole_number_are_taken():
    file = DataFile("a/a.csv", ZEROS, ["http://x/"], bytes=np.int64(5))
    assert (file.urls, file.bytes) == (("http://x/",), 5)
    assert hash(file) == hash(DataFile("a/a.csv", ZEROS, ("http://x/",), bytes=5))


PLUGIN = '''
from dataclasses import dataclass

from fairbench.api import DataFile, hookimpl


@dataclass(frozen=True)
class Net:
    """Trial."""

    name = "net"
    sensitive_features = ("g",)
    files = (DataFile("net/net.csv", "0" * 64, urls=(None,)),)

    def load(self, files):
        raise AssertionError("what its file declares is refused first")


@hookimpl
def fairbench_datasets():
    return [Net]
'''


def test_a_plugin_with_a_malformed_file_is_refused_in_one_line(fairbench, tmp_path):
    (tmp_path / "net.py").write_text(PLUGIN)
    status, _, err = fairbench("run", "--methods", "constant", "--datasets", "net,ricci", "--plugin", "net.py")
    assert status == 2
    assert "DataError: the raw file 'net/net.csv': urls is (None,); give a tuple of addresses" in err
    assert err.count("\n") == 1


def test_all_leaves_out_a_dataset_whose_files_are_malformed(fairbench, tmp_path):
    within = PLUGIN.replace("    files = (", "    files = property(lambda self: (").replace("),)\n", "),))\n")
    (tmp_path / "net.py").write_text(within)
    status, out, err = fairbench(
        *("run", "--methods", "constant", "--datasets", "all", "--plugin", "net.py", "--repeats", "1", "--dry-run")
    )
    assert (status, "ricci" in out) == (0, True)
    assert "net is left out of 'all': the raw file 'net/net.csv': urls is (None,)" in out + err

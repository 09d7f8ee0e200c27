"""The commands ``fairbench data ...`` on datasets of our own and, where they are at hand, on the real ones."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import socket
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

import fairbench.plugins.loading
from fairbench.cli.data import data
from fairbench.data.files import cache_dir
from fairbench.data.sources import DataFile
from fairbench.errors import DataError, UnknownName
from fairbench.plugins.registry import Plugin, Registry

GOOD, BAD = b"39, State-gov, 77516\n", b"39, State-gov\n"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word on stderr."""

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """Serve a folder that has adult.data and no german.data; return its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "adult.data").write_bytes(GOOD)
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def datasets(served, tmp_path, monkeypatch):
    """Register two datasets with one file each, one that needs none and one that nobody serves; the cache is empty."""
    monkeypatch.setenv("FAIRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIRBENCH_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def dataset(name: str, *files: DataFile, **more: bool) -> type:
        return dataclass(frozen=True)(
            type(name, (), {"name": name, "files": files, "sensitive_features": ("sex",), **more})
        )

    def file(name: str) -> DataFile:
        url = f"{served}/{name}.data"
        return DataFile(f"{name}/{name}.data", hashlib.sha256(GOOD).hexdigest(), (url,), bytes=len(GOOD))

    registry = Registry()
    licensed = DataFile("survey/survey.data", hashlib.sha256(GOOD).hexdigest(), bytes=len(GOOD), obtain="ask its owner")
    members = [dataset("adult", file("adult")), dataset("german", file("german")), dataset("made")]
    members.append(dataset("survey", licensed))
    members.append(dataset("pictures", only_by_name=True))
    registry.add(Plugin("ours", "tests", "1"), {"datasets": members})
    monkeypatch.setattr(fairbench.plugins.loading, "load_plugins", lambda plugin: (registry, registry.problems))
    return registry


def put(folder: Path, content: bytes, name: str = "adult") -> Path:
    path = folder / name / f"{name}.data"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def call(*arguments):
    """Run a command with stdout and stderr apart, which click 8.1 must be asked for."""
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart).invoke(data, [str(argument) for argument in arguments])


def rows(*arguments):
    return {
        row["dataset"]: row for row in [json.loads(line) for line in call(*arguments, "--json").stdout.splitlines()]
    }


def test_list_tells_where_each_file_is(tmp_path):
    theirs = put(tmp_path / "theirs", GOOD)
    seen = rows("list", "--data-dir", tmp_path / "theirs")
    assert set(seen) == {"adult", "german", "survey"}
    assert (seen["adult"]["state"], seen["adult"]["path"], seen["adult"]["place"]) == (
        "sound",
        str(theirs),
        "--data-dir",
    )
    assert (seen["german"]["state"], seen["german"]["path"], seen["german"]["bytes"]) == ("missing", None, len(GOOD))


def test_list_is_a_table_on_stdout(tmp_path):
    put(tmp_path / "theirs", BAD)
    result = call("list", "--data-dir", tmp_path / "theirs")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == ["dataset", "file", "bytes", "state", "path", "origin"]
    assert lines[1].split()[:4] == ["adult", "adult/adult.data", str(len(GOOD)), "damaged"]
    assert lines[2].split() == ["german", "german/german.data", str(len(GOOD)), "missing"]
    assert lines[1].index("damaged") == lines[2].index("missing")


def test_verify_passes_over_what_is_sound_or_missing():
    put(cache_dir(), GOOD)
    result = call("verify")
    assert result.exit_code == 0
    assert result.stderr == ""


def test_verify_finds_a_damaged_copy_behind_a_sound_one_and_leaves_it(tmp_path):
    put(tmp_path / "theirs", GOOD)
    damaged = put(cache_dir(), BAD)
    result = call("verify", "adult", "--data-dir", tmp_path / "theirs", "--json")
    assert result.exit_code == 1
    assert [row["state"] for row in [json.loads(line) for line in result.stdout.splitlines()]] == ["sound", "damaged"]
    seen, expected = (hashlib.sha256(content).hexdigest() for content in (BAD, GOOD))
    assert result.stderr == f"{damaged}: sha256 is {seen}, expected {expected}; replace or remove the file\n"
    assert damaged.read_bytes() == BAD


def test_fetch_downloads_what_is_named_and_says_from_where(served):
    result = call("fetch", "adult", "made")
    path = cache_dir() / "adult" / "adult.data"
    assert result.exit_code == 0
    assert result.stdout == f"adult\t{path}\t{served}/adult.data\n"
    assert path.read_bytes() == GOOD
    assert rows("list")["adult"]["origin"] == f"{served}/adult.data"
    assert rows("list", "--data-dir", cache_dir())["adult"]["origin"] == "--data-dir"


def test_fetch_of_all_is_exit_1_with_the_reason_if_one_cannot_be_had():
    result = call("fetch")
    assert result.exit_code == 1
    assert result.stdout.startswith("adult\t")
    fetching, german, survey = result.stderr.splitlines()
    assert fetching == "fetching adult/adult.data"
    assert german.startswith("german: german/german.data: not found in ")
    assert "german.data: HTTP 404" in german
    assert survey.startswith("survey: survey/survey.data: not found in ")
    assert survey.endswith("; ask its owner")


def test_fetch_of_all_may_lack_what_only_a_user_can_bring(served, tmp_path):
    (tmp_path / "served" / "german.data").write_bytes(GOOD)
    everything, named = call("fetch"), call("fetch", "survey")
    assert everything.exit_code == 0
    assert named.exit_code == 1
    assert everything.stderr.splitlines()[-1:] == named.stderr.splitlines()
    assert named.stderr.startswith("survey: survey/survey.data: not found in ")


def test_add_takes_in_what_a_user_has(tmp_path):
    put(tmp_path / "mine", GOOD, "survey")
    result = call("add", "survey", tmp_path / "mine")
    path = cache_dir() / "survey" / "survey.data"
    assert (result.exit_code, result.stdout) == (0, f"survey\t{path}\n")
    assert call("path", "survey").stdout == f"{path}\n"
    assert rows("list")["survey"]["origin"] == f"added from {tmp_path / 'mine'}"
    assert call("add", "survey", tmp_path / "mine", "--into", tmp_path / "raw").exit_code == 0
    assert rows("list", "--data-dir", tmp_path / "raw")["survey"]["place"] == "--data-dir"


def test_add_copies_nothing_into_the_working_directory_when_the_folder_is_empty(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = call("add", "survey", tmp_path / "mine", "--into", "")
    assert result.exit_code == 2
    assert "'--into': the path is empty; write '.' for the current folder" in result.stderr
    assert list((tmp_path / "empty").iterdir()) == []


def test_add_refuses_another_version_and_an_unknown_name(tmp_path):
    put(tmp_path / "mine", BAD, "survey")
    result = call("add", "survey", tmp_path / "mine")
    assert isinstance(result.exception, DataError)
    assert str(result.exception).endswith("; nothing was copied; ask its owner")
    assert isinstance(call("add", "servey", tmp_path / "mine").exception, UnknownName)


def test_path_tells_how_to_get_what_only_a_user_can_bring():
    assert call("path", "survey").stderr == "survey/survey.data is missing; ask its owner\n"


@pytest.mark.parametrize("command", ["fetch", "verify", "path", "add"])
def test_a_dataset_without_raw_files_is_said_to_have_none(command, tmp_path):
    result = call(command, "made", *([tmp_path] if command == "add" else []))
    assert result.exit_code == 0
    assert result.stderr.startswith("made has no raw files to fetch or add; 'fairbench show dataset made'")


def test_fetch_of_all_leaves_out_what_must_be_named(datasets, served):
    large = DataFile("large/adult.data", hashlib.sha256(GOOD).hexdigest(), (f"{served}/adult.data",), bytes=len(GOOD))
    datasets.get("datasets", "pictures").files = (large,)
    assert "pictures" not in call("fetch").stdout
    path = cache_dir() / "large" / "adult.data"
    assert call("fetch", "pictures").stdout == f"pictures\t{path}\t{served}/adult.data\n"


def test_a_download_that_failed_is_not_advised_again():
    tried, offline = call("fetch", "german").stderr, call("fetch", "german", "--offline").stderr
    assert "HTTP 404" in tried
    assert tried.endswith(
        "; put it where 'fairbench data path german' says, or name its folder with --data-dir or FAIRBENCH_DATA\n"
    )
    assert "; get it with 'fairbench data fetch german', put it where" in offline


def test_fetch_offline_connects_to_nobody(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    result = call("fetch", "adult", "--offline")
    assert result.exit_code == 1
    assert "offline" in result.stderr
    assert not cache_dir().exists()


def test_path_prints_where_the_file_lies_or_belongs():
    missing = call("path", "adult")
    assert missing.exit_code == 1
    assert missing.stdout == f"{cache_dir() / 'adult' / 'adult.data'}\n"
    assert missing.stderr == "adult/adult.data is missing; 'fairbench data fetch adult' downloads it\n"
    there = put(cache_dir(), GOOD)
    found = call("path", "adult")
    assert (found.exit_code, found.stdout, found.stderr) == (0, f"{there}\n", "")


@pytest.mark.parametrize("command", ["fetch", "verify", "path"])
def test_an_unknown_dataset_is_an_error_with_a_suggestion(command):
    result = call(command, "adlut")
    assert isinstance(result.exception, UnknownName)
    assert "did you mean 'adult'?" in str(result.exception)


def test_a_data_dir_that_is_not_there_is_a_usage_error(tmp_path):
    result = call("list", "--data-dir", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_a_file_that_cannot_be_read_is_an_error(monkeypatch):
    put(cache_dir(), GOOD)
    monkeypatch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    result = call("list")
    assert isinstance(result.exception, DataError)
    assert "cannot be read (Permission denied)" in str(result.exception)


def test_a_plugin_that_cannot_be_used_is_told_on_stderr(datasets):
    datasets.refuse(Plugin("acme.fair", "acme", "2.1", problem="needs 'acme', which is not installed"))
    assert "acme.fair (acme 2.1) cannot be used: needs 'acme'" in call("list").stderr


@pytest.mark.parametrize("command", ["list", "verify", "fetch", "add", "path"])
def test_help_is_a_sentence_with_defaults_and_two_examples(command):
    text = call(command, "--help").stdout
    sentence = text.split("\n\n")[1]
    assert sentence.strip().endswith(".")
    assert "[default: " in " ".join(text.split())
    examples = text.split("Examples:\n")[1].strip().splitlines()
    assert len(examples) == 2
    assert all(line.strip().startswith(f"fairbench data {command}") for line in examples)


@pytest.mark.skipif("FAIRBENCH_DATA" not in os.environ, reason="FAIRBENCH_DATA names no folder of real raw files")
def test_the_real_files_are_sound(monkeypatch):
    monkeypatch.undo()  # the real plugins and folder
    result = call("verify", "adult", "compas", "german", "--json")
    assert result.exit_code == 0
    assert {row["state"] for row in [json.loads(line) for line in result.stdout.splitlines()]} == {"sound"}

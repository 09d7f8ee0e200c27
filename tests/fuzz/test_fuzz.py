"""The short form of ``fuzz.py``, some inputs of every target; and that the fuzzer finds what it must."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import engine
import pytest
from engine import Reader, Target, Wrong, found, fuzz
from targets import TARGETS

from fairbench.errors import DataError

FUZZ = Path(__file__).with_name("fuzz.py")
INPUTS = {"published": 40, "store": 50, "audit": 30, "own-data": 30}  # of the others 80, or 12 for a dataset


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_every_input_is_read_or_refused_in_one_line(name, tmp_path):
    target = TARGETS[name]
    if target.lacks():
        pytest.skip(target.lacks())
    reader = target.make(tmp_path)
    inputs = INPUTS.get(name, 12 if name.startswith("dataset-") else 80)
    finds = [find for find in found(target, reader, 0, range(inputs)) if find is not None]
    assert not finds, "\n".join(f"{find.number} {find.name}: {find.what}" for find in finds)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_every_sound_file_is_read(name, tmp_path):
    target = TARGETS[name]
    if target.lacks():
        pytest.skip(target.lacks())
    reader = target.make(tmp_path)
    for file in sorted(reader.seeds)[:3]:
        reader.read(file, reader.seeds[file])


def unchanged(content, random, others):
    return content


def _faulty(folder):
    """A reader that does everything wrong that a reader can."""

    def read(name, content):
        if content[:1] == b"r":
            raise KeyError("unforeseen")
        if content[:1] == b"l":
            raise DataError("two\nlines")
        if content[:1] == b"e":
            raise DataError("")
        if content[:1] == b"w":
            raise Wrong("NaN")
        if content[:1] == b"d":
            os._exit(9)
        if content[:1] == b"m":
            bytearray(b"x") * (100 << 20)
        if content[:1] == b"o":
            raise DataError("refused as it should be")

    return Reader({letter: letter.encode() for letter in "rlewdmox"}, read, unchanged)


@pytest.mark.long
def test_whatever_goes_wrong_is_a_find_and_the_rest_is_still_read(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", 60)
    target = Target("faulty", _faulty)
    counts = []
    finds = fuzz(target, tmp_path, 3, 24, 2, lambda count: counts.append(count) is None)
    told = {find.name: find.what for find in finds}
    assert set(told) == set("rlewdm")
    assert told["r"].startswith("KeyError at test_fuzz.py")
    assert told["l"].startswith("a message of several lines")
    assert told["e"] == "an empty message of DataError"
    assert told["w"] == "a wrong result: NaN"
    assert told["d"] == "the process died (9)"
    assert told["m"].endswith("MiB of memory")
    assert counts[-1] == 24
    assert [find.number for find in finds] == sorted({find.number for find in finds})


@pytest.mark.long
def test_an_input_without_an_end_is_a_find_and_the_rest_is_still_read(tmp_path, monkeypatch):
    now, hangs = [0.0], tmp_path / "hangs"

    def clock():
        now[0] += 5 * hangs.exists()  # time passes while an input hangs
        return now[0]

    def make(folder):
        hangs.unlink(missing_ok=True)

        def read(name, content):
            if content == b"h":
                hangs.touch()
                threading.Event().wait()

        return Reader({"h": b"h", "x": b"x"}, read, unchanged)

    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep))
    target, counts = Target("hanging", make), []
    finds = fuzz(target, tmp_path, 3, 8, 1, lambda count: counts.append(count) is None)
    inputs = [engine.made(make(tmp_path), "hanging", 3, number)[0] for number in range(8)]
    assert [find.number for find in finds] == [number for number in range(8) if inputs[number] == "h"]
    assert {find.what for find in finds} == {"no end after 20 s"}
    assert 0 < len(finds) < counts[-1] == 8


@pytest.mark.long
def test_the_command_prints_a_table_and_keeps_finds_to_be_read_again(tmp_path):
    def run(*arguments):
        line = [sys.executable, str(FUZZ), *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)

    ran = run("choices", "--inputs", "300", "--jobs", "2")
    assert ran.returncode == 0, ran.stderr
    assert "choices                        300       0" in ran.stdout
    assert not (tmp_path / "finds").exists()
    (tmp_path / "choices-1-7-0.txt").write_bytes(b"a[b=1")
    assert run("--replay", "choices-1-7-0.txt").stdout == "read, or refused in one line\n"
    assert "name targets among: all, suite, choices" in run("nothing").stderr

"""The tiny paper: its plugin file, and a copy of its directory that a test may spoil."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from fairbench.api import Paper
from fairbench.plugins.loading import load_plugins

HERE = Path(__file__).parent


@pytest.fixture
def plugin() -> str:
    """Return the path of the plugin file."""
    return str(HERE / "tiny_paper.py")


@pytest.fixture
def registry():
    """Return all installed components, without the tiny paper."""
    return load_plugins()[0]


@pytest.fixture
def spoiled(tmp_path):
    """Return a paper whose files are the tiny ones with one text replaced by another."""

    def make(file: str = "published.toml", old: str = "", new: str = "") -> Paper:
        directory = tmp_path / "tiny"
        shutil.copytree(HERE / "tiny", directory)
        text = (directory / file).read_text(encoding="utf-8")
        assert old in text
        (directory / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        paper = load_plugins([str(HERE / "tiny_paper.py")])[0].paper("tiny")
        return dataclasses.replace(paper, directory=directory)

    return make

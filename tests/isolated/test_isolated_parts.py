"""Messages, types and small wheels of isolated plugins."""

from __future__ import annotations

import enum
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, Optional, Union

import numpy as np
import pytest

from fairbench.api import Inputs, Samples, Schema
from fairbench.data.examples import example_split
from fairbench.errors import PluginError
from fairbench.plugins.isolated.declared import declare, described, type_from_json, type_to_json
from fairbench.plugins.isolated.frames import Unreadable, packed, receive, send, unpacked
from fairbench.plugins.isolated.methods import IsolatedMethod
from fairbench.plugins.loading import load_plugins
from fairbench.plugins.parameters import describe_parameters

Side = enum.Enum("Side", {"LEFT": "l", "RIGHT": "r"})
ROWS = Samples(
    X=np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3)),
    group=np.array([0, 1, 1, 2]),
    schema=Schema(("a", "b", "c"), ("x", "y", "ü"), 1, 0, ()),
    y=np.array([0, 1, 1, 0]),
    keys={"a.b": np.array(["t", "uu", "t", ""]), "n": np.array([1.5, 2, 3, 4])},
    rows=np.array([7, 8, 9, 3]),
)


def through(header, arrays):
    stream = io.BytesIO()
    send(stream, header, arrays)
    stream.seek(0)
    return receive(stream)


@pytest.mark.parametrize("rows", [ROWS, ROWS.inputs, example_split().train, ROWS.select(np.array([], dtype=int))])
def test_rows_arrive_as_they_were(rows):
    back = unpacked("rows", type(rows), *through(*packed("rows", rows)))
    assert back.schema == rows.schema
    assert list(back.keys) == list(rows.keys)
    for one, other in [(back.keys[name], rows.keys[name]) for name in rows.keys] + [
        (getattr(back, name), getattr(rows, name)) for name in ("X", "group", "y", "rows") if hasattr(rows, name)
    ]:
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
            assert one.flags.f_contiguous == other.flags.f_contiguous


def test_inputs_have_no_labels():
    header, arrays = packed("rows", ROWS.inputs)
    assert not [name for name in arrays if name in ("rows.y", "rows.rows")]
    assert isinstance(unpacked("rows", Inputs, header, arrays), Inputs)


def test_objects_are_not_sent():
    stream = io.BytesIO()
    with pytest.raises(ValueError, match=r"^x is an array of Python objects; use numbers or strings$"):
        send(stream, {}, {"x": np.array([None, 1])})
    with pytest.raises(TypeError):
        send(stream, {"x": object()}, {})
    assert not stream.getvalue()  # so that an answer that cannot be sent can be replaced


@pytest.mark.parametrize(
    "bad", [b"what?\n", b"fairbench {\n", b"fairbench []\n", b'fairbench {"arrays": ["x"]}\n', b"fairbench 3\n"]
)
def test_garbage_is_not_read(bad):
    with pytest.raises(Unreadable, match="is not a message of fairbench"):
        receive(io.BytesIO(bad))


def test_a_pickle_is_not_read():
    stream = io.BytesIO()
    stream.write(b'fairbench {"arrays": ["x"]}\n')
    np.lib.format.write_array(stream, np.array([{}], dtype=object), allow_pickle=True)
    stream.seek(0)
    with pytest.raises(Unreadable, match="allow_pickle=False"):
        receive(stream)


def test_the_end_is_the_end():
    with pytest.raises(EOFError):
        receive(io.BytesIO())


@pytest.mark.parametrize(
    "hint",
    [
        *(int, float, bool, str, Any, Path, Side, Optional[int], Union[int, str, None], Literal["a", 2, True]),
        *(tuple, tuple[int, ...], tuple[int, str], list[float], set[str], frozenset[int], dict, dict[str, list[int]]),
    ],
    ids=str,
)
def test_types_survive_json(hint):
    back = type_from_json(type_to_json(hint))
    if hint is Side:
        assert {member.name: member.value for member in back} == {"LEFT": "l", "RIGHT": "r"}
    else:
        assert back == hint


@pytest.mark.parametrize("bad", ["what", ["what"], [], 3, None, ["union", "what"]])
def test_a_type_that_nobody_wrote_is_refused(bad):
    with pytest.raises(PluginError, match=r"is not a type of a parameter$"):
        type_from_json(bad)


def test_every_method_here_could_be_isolated():
    registry, _ = load_plugins()
    for name in registry.names("methods"):
        method = registry.get("methods", name)
        made = declare(described(method), IsolatedMethod, _environment=None)
        theirs, ours = describe_parameters(method), describe_parameters(made)
        key = lambda row: row["name"]  # noqa: E731
        for one, other in zip(sorted(theirs, key=key), sorted(ours, key=key)):
            assert {**one, "type": ""} == {**other, "type": "", "choices": other["choices"]}
        assert made.name == name


def test_an_environment_needs_no_more_than_it_is_given():
    script = (
        "import sys\nimport fairbench.api, fairbench.plugins.isolated.worker\n"
        "print({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    if sys.version_info < (3, 10):
        pytest.skip("the names of Python's own modules are listed from 3.10 on")
    line = [sys.executable, "-c", script]
    names = eval(subprocess.run(line, capture_output=True, text=True, check=True, env=os.environ).stdout)  # noqa: S307
    assert {name for name in names if not name.startswith("_")} == {"fairbench", "numpy", "pluggy"}

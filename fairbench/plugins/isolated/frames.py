"""Messages between two processes: a line of JSON, then arrays in NumPy's own format; never a pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairbench.data.rows import Inputs, Samples, Schema
from fairbench.data.withheld import GrouplessInputs, GrouplessSamples, no_codes, withheld
from fairbench.errors import GroupWithheld, NotApplicable

Arrays = Mapping[str, NDArray[Any]]
Rows = TypeVar("Rows", Inputs, Samples)
LONGEST = 1 << 26  # bytes of a line
_BEGIN = b"fairbench "


class Unreadable(ValueError):
    """What arrived is not a message."""


class _Plain:
    """A stream without a file descriptor, of which NumPy would read and write past its buffer."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read, self.write = stream.read, stream.write


def send(stream: BinaryIO, header: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a message: the header, which JSON can hold, and arrays of numbers or strings by name.

    Raises:
        OSError: the other process is gone.
        TypeError, ValueError: the header or an array holds what neither JSON nor plain bytes can hold; nothing is sent.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name} is an array of Python objects; use numbers or strings")
    line = json.dumps({**header, "arrays": list(arrays)}).encode()
    stream.write(_BEGIN + line + b"\n")
    for array in arrays.values():
        np.lib.format.write_array(_Plain(stream), array, allow_pickle=False)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header and the arrays of the next message.

    Raises:
        EOFError: the other process is gone.
        Unreadable: something else than a message arrived, half of one perhaps.
    """
    line = stream.readline(LONGEST)
    if not line:
        raise EOFError("the other process is gone")
    try:
        if not line.startswith(_BEGIN):
            raise ValueError("it does not begin like one")
        header = json.loads(line[len(_BEGIN) :])
        return header, {
            name: np.lib.format.read_array(_Plain(stream), allow_pickle=False) for name in header.pop("arrays")
        }
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unreadable(f"{line[:60]!r} is not a message of fairbench: {error}") from error


def packed(name: str, rows: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return rows as one entry of a header and arrays whose names begin with that of the entry.

    Of rows whose group is withheld, the message of the error goes in its place.
    """
    plain: dict[str, Any] = {}
    if isinstance(rows, (GrouplessInputs, GrouplessSamples)):
        plain["withheld"] = [rows.why, rows.error is NotApplicable]
    arrays: dict[str, NDArray[Any]] = {}
    for field in dataclasses.fields(rows):
        value = getattr(rows, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{name}.{field.name}"] = value
        elif isinstance(value, Schema):
            plain[field.name] = dataclasses.asdict(value)
        elif isinstance(value, Mapping):  # keys
            plain[field.name] = list(value)
            arrays.update({f"{name}.{field.name}.{key}": array for key, array in value.items()})
    return {name: plain}, arrays


def unpacked(name: str, kind: type[Rows], header: Mapping[str, Any], arrays: Arrays) -> Rows:
    """Return the rows that ``packed`` took apart."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        given = header[name].get(field.name)
        if f"{name}.{field.name}" in arrays:
            found[field.name] = arrays[f"{name}.{field.name}"]
        elif isinstance(given, list):
            found[field.name] = {key: arrays[f"{name}.{field.name}.{key}"] for key in given}
        elif given is not None:
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
            }
            found[field.name] = Schema(**values)
    if "withheld" not in header[name]:
        return kind(**found)
    why, not_applicable = header[name]["withheld"]
    whole = kind(**found, group=no_codes(found["X"]))
    return withheld(whole, why, NotApplicable if not_applicable else GroupWithheld)

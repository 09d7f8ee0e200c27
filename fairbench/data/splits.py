"""Encoded splits, stored where no cell can write: each cell gets its own arrays, and writes to them are detected."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairbench.data.arrays import unchecked
from fairbench.data.rows import Samples, Schema, Split

PARTS = {"train": "training", "validation": "validation", "test": "test"}
ALIGNMENT = 64  # bytes; the same whatever lay in memory before
COPIED = 2**22  # bytes; what is larger is mapped instead, page by page as it is read
SMALL = 2**15  # bytes that are copied faster than an address is found

Bytes = NDArray[np.uint8]


class _Place(NamedTuple):
    """The place of an array: its part and name, its layout, and its first byte."""

    part: str
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Any
    start: int
    size: int

    def of(self, memory: Bytes) -> NDArray[Any]:
        """Return the array at this place, read-only."""
        found = memory[self.start : self.start + self.size].view(self.dtype).reshape(self.shape, order=self.order)
        found.flags.writeable = False
        return found


@dataclass(frozen=True, eq=False)
class OwnSplit:
    """One cell's copy of a split, and what it was copied from."""

    split: Split
    kept: KeptSplit
    memory: Bytes
    arrays: tuple[NDArray[Any], ...]
    schema: Schema

    def changed(self) -> list[str]:
        """Return what has changed, e.g. ``y of the training part``."""
        compare = _libc().memcmp
        untouched = not compare(self.memory.ctypes.data, self.kept.address, len(self.memory))  # all arrays at once
        found = []
        parts = {part: getattr(self.split, part) for part in PARTS}
        inside = {(part, name): array for part in PARTS for name, array in _arrays(parts[part])}
        for place, array in zip(self.kept.places, self.arrays):
            same = inside.pop((place.part, place.name), None) is array
            sound = untouched or not compare(array.ctypes.data, self.kept.address + place.start, place.size)
            if not (same and sound):
                found.append(f"{place.name} of the {PARTS[place.part]} part")
        found += [f"{name} of the {PARTS[part]} part" for part, name in inside]  # a key that was not there
        if any(samples.schema is not self.schema for samples in parts.values()) or self.schema != self.kept.schema:
            found.append("the names of features or groups")
        return found


class KeptSplit:
    """A split as it was encoded: small ones as bytes, others in a nameless file that is mapped copy-on-write."""

    def __init__(self, split: Split) -> None:
        """Copy the split's arrays."""
        self.schema = split.train.schema
        arrays = [(part, name, array) for part in PARTS for name, array in _arrays(getattr(split, part))]
        self.places, end = [], 0
        for part, name, array in arrays:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"  # sums depend on it
            self.places.append(_Place(part, name, array.dtype, array.shape, order, start, array.nbytes))
            end = start + array.nbytes
        self._size = end
        self._file = _nameless(end) if end > COPIED else None
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)
        memory = np.empty(end, np.uint8) if self._file is None else _mapped(self._file, end, mmap.ACCESS_WRITE)
        for place, (_, _, array) in zip(self.places, arrays):
            flat = np.asarray(array, order=place.order).ravel(order=place.order)
            memory[place.start : place.start + place.size] = flat.view(np.uint8)
        self._memory = memory if self._file is None else _mapped(self._file, end, mmap.ACCESS_READ)
        self.address = self._memory.ctypes.data

    def own(self) -> OwnSplit:
        """Return a split with its own copies of the arrays."""
        memory = self._copied() if self._file is None else _mapped(self._file, self._size, mmap.ACCESS_COPY)
        arrays = tuple(place.of(memory) for place in self.places)
        schema = unchecked(Schema, **vars(self.schema))
        fields: dict[str, dict[str, Any]] = {part: {"schema": schema, "keys": {}, "rows": None} for part in PARTS}
        for place, array in zip(self.places, arrays):
            known = fields[place.part]
            if place.name in ("X", "group", "y", "rows"):
                known[place.name] = array
            else:
                known["keys"][place.name[len("key ") :]] = array
        split = Split(**{part: unchecked(Samples, **values) for part, values in fields.items()})
        return OwnSplit(split, self, memory, arrays, schema)

    def _copied(self) -> Bytes:
        room = np.empty(self._size + ALIGNMENT, np.uint8)
        first = -room.ctypes.data % ALIGNMENT
        memory = room[first : first + self._size]
        memory[:] = self._memory
        return memory


def _arrays(samples: Samples) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "X", samples.X
    yield "group", samples.group
    yield "y", samples.y
    if samples.rows is not None:
        yield "rows", samples.rows
    for name, values in samples.keys.items():
        yield f"key {name}", values


def same_bytes(array: NDArray[Any], held: bytes) -> bool:
    """Return whether an array holds these bytes, as ``tobytes`` would return them, without copying a large one."""
    if array.nbytes < SMALL or not array.flags.c_contiguous:
        return bool(array.tobytes() == held)
    return array.nbytes == len(held) and not _libc().memcmp(array.ctypes.data, held, len(held))


def _nameless(size: int) -> int:
    """Return the descriptor of a new file that nothing else can open; in memory where the system offers it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("split")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(descriptor, size)
    return descriptor


def _mapped(descriptor: int, size: int, access: int) -> Bytes:
    return np.frombuffer(mmap.mmap(descriptor, size, access=access), np.uint8)


@lru_cache(maxsize=1)
def _libc() -> Any:
    library = ctypes.CDLL(None)
    library.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library

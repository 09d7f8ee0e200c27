"""Numeric arrays of a MATLAB 5 file, read defensively: SciPy's reader can end the process on a damaged file.

The MathWorks, MAT-File Format, version 5: a header of 128 bytes, then elements, each a type, a length and its bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

HEADER, LARGEST = 128, 1 << 30
MATRIX, COMPRESSED, INT32, UINT32, INT8 = 14, 15, 5, 6, 1
TYPES = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
CLASSES = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}  # intended types of the numbers
COMPLEX = 1 << 11  # among the array's flags


def arrays(content: bytes) -> Mapping[str, NDArray[np.generic]]:
    """Return the arrays of a file by their names.

    Raises:
        ValueError: it is not a little-endian MATLAB 5 file of plain numeric arrays; ``zlib.error`` for a damaged
            stream.
    """
    if len(content) < HEADER or content[124:128] != b"\0\1IM":
        raise ValueError("no little-endian MATLAB 5 file")
    found: dict[str, NDArray[np.generic]] = {}
    for kind, body in _elements(memoryview(content)[HEADER:], padded=False):
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            unfolded = memoryview(stream.decompress(body, LARGEST))
            if not stream.eof:
                raise ValueError("an array that ends too early, or is too large")
            ((kind, body),) = _elements(unfolded)
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} instead of an array")
        name, array = _array(body)
        found[name] = array
    return found


def _elements(rest: memoryview, *, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the bytes of each element; inside an array each is padded to eight bytes."""
    while len(rest):
        if len(rest) < 8:
            raise ValueError("an element of less than eight bytes")
        kind, size = struct.unpack_from("<II", rest)
        start = 8
        if kind >> 16:  # a small element: its length and type share four bytes, and its data fill the next four
            kind, size, start = kind & 0xFFFF, kind >> 16, 4
        end = start + size
        if end > (8 if start == 4 else len(rest)):
            raise ValueError("an element that is longer than the file")
        yield kind, rest[start:end]
        rest = rest[-(-end // 8) * 8 if padded or kind != COMPRESSED else end :]


def _array(body: memoryview) -> tuple[str, NDArray[np.generic]]:
    """Return the name and the values of an array, its first index running fastest."""
    parts = list(_elements(body))
    if [kind for kind, _ in parts[:3]] != [UINT32, INT32, INT8] or len(parts) != 4 or len(parts[0][1]) != 8:
        raise ValueError("an array that is not one of plain numbers")
    (flags, _), (stored, data) = struct.unpack("<II", parts[0][1]), parts[3]
    shape = np.frombuffer(parts[1][1], "<i4").tolist()
    if flags & COMPLEX or flags & 0xFF not in CLASSES or stored not in TYPES or min(shape, default=-1) < 0:
        raise ValueError("an array that is not one of plain numbers")
    values = np.frombuffer(data, TYPES[stored])
    if len(values) != math.prod(shape):
        raise ValueError(f"an array of {len(values)} values whose stated shape is {tuple(shape)}")
    return bytes(parts[2][1]).decode("ascii"), values.astype(CLASSES[flags & 0xFF]).reshape(shape, order="F")

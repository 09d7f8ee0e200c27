"""Copies of raw files, damaged in the ways that files are; the tests beside import this by its name."""

from __future__ import annotations

import gzip

STRANGE = [b"\0", b'"', b"'", b"\r", b"\n", b"\t", b",", b" ", b";", b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xd9\xa3"]
VALUES = [
    b"",
    b"nan",
    b"NaN",
    b"inf",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"0x1F",
    b"1_0",
    b"?",
    b"x" * 200_000,
    b"True",
    b"1.5",
]


def damaged(content: bytes, random) -> bytes:
    """Return the content after one to three kinds of damage."""
    kinds = [flip, cut, lines, column, insert, field, recode]
    for place in random.integers(len(kinds), size=random.integers(1, 4)):
        content = kinds[place](content, random)
    return content


def damaged_gzip(content: bytes, random) -> bytes:
    """Return a gzip file damaged outside or, compressed again, inside."""
    if random.integers(2):
        return damaged(content, random)
    return gzip.compress(damaged(gzip.decompress(content), random), 1)


def flip(content: bytes, random) -> bytes:
    """Change some bytes: anything, a bit, or a character of text."""
    made = bytearray(content)
    for place in random.integers(len(made), size=random.integers(1, 9)) if made else ():
        made[place] = (random.integers(256), made[place] ^ 1 << random.integers(8), random.integers(32, 127))[
            random.integers(3)
        ]
    return bytes(made)


def cut(content: bytes, random) -> bytes:
    """Keep the beginning, the end or nothing."""
    place = int(random.integers(len(content) + 1))
    return (content[:place], content[place:], b"")[random.choice(3, p=[0.6, 0.3, 0.1])]


def lines(content: bytes, random) -> bytes:
    """Drop, double or swap lines."""
    rows = content.splitlines(keepends=True)
    for _ in range(random.integers(1, 4) if rows else 0):
        place = int(random.integers(len(rows)))
        rows[place : place + 1] = [[], [rows[place]] * 2, [rows[-1]], [b"\n", rows[place]]][random.integers(4)]
        if not rows:
            break
    return b"".join(rows)


def column(content: bytes, random) -> bytes:
    """Drop or double a column, in all lines or from one on."""
    separator = b"," if content.count(b",") > content.count(b" ") / 2 else b" "
    place, double, rows = int(random.integers(20)), random.integers(2), content.split(b"\n")
    for row in range(int(random.integers(len(rows))) * int(random.integers(2)), len(rows)):
        fields = rows[row].split(separator)
        fields[place : place + 1] = fields[place : place + 1] * 2 * int(double)
        rows[row] = separator.join(fields)
    return b"\n".join(rows)


def insert(content: bytes, random) -> bytes:
    """Put strange bytes somewhere."""
    place = int(random.integers(len(content) + 1))
    return content[:place] + STRANGE[random.integers(len(STRANGE))] * int(random.integers(1, 4)) + content[place:]


def field(content: bytes, random) -> bytes:
    """Put a strange value in place of one."""
    separator = b"," if content.count(b",") > content.count(b" ") / 2 else b" "
    rows = content.split(b"\n")
    row = int(random.integers(len(rows)))
    fields = rows[row].split(separator)
    fields[random.integers(len(fields))] = VALUES[random.integers(len(VALUES))]
    rows[row] = separator.join(fields)
    return b"\n".join(rows)


def recode(content: bytes, random) -> bytes:
    """Give another encoding or other ends of lines."""
    text = content.decode("latin-1")
    return [
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-8-sig"),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: content.replace(b"\n", b"\r"),
        lambda: text.replace("e", "é").encode("latin-1"),
        lambda: content.replace(b",", b";"),
    ][random.integers(6)]()

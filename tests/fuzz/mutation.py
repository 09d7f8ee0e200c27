"""Files changed at random: single bytes, tokens, fields, lines, encodings, nesting; each by its seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Optional

STRANGE = [
    *(b"\0", b'"', b"'", b"\r", b"\n", b"\r\n", b"\t", b",", b";", b"|", b" ", b"=", b"#", b"\\", b"\x1b[31m", b"\x7f"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xd9\xa3", b"\xc2\x85"),
]
VALUES = [
    *(b"", b"nan", b"NaN", b"inf", b"-inf", b"-1", b"0", b"1e999", b"1e-999", b"-0.0", b"9" * 400, b"9" * 5000),
    *(b"9223372036854775808", b"1_0", b"0x1F", b"1.5", b"?", b"true", b"null", b"None", b"[]", b"{}", b"[[[[[]]]]]"),
    *(b'""', b'"\\u0000"', b'"\\ud800"', b"1979-05-27", b"=1+1", b"../../x", b"/dev/zero", b"x" * 70_000, b"all"),
    *("٣".encode(), "é".encode("latin-1"), "a\u202eb".encode(), b"\xf0\x9f\x92\xa9"),
]
STRANGE_JSON = [
    *("\ud800", "", "a\x1b[31m\nb", "=1+1", "../../x", "\0", "x" * 70_000, "None", "all", "a|b", "(1,2)", '"', "1e999"),
    *(None, True, False, 0, -1, 1, 2, 2**31, 2**63, 10**400, -0.0, 0.5, 1e-320, 1e308, float("inf"), [], {}, [[]]),
    *({"": None}, [None], [1, "a"], {"a": {"b": {}}}),
]
TOKEN = re.compile(rb"[A-Za-z0-9_.+-]+|[^\sA-Za-z0-9_]")


def mutated(content: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return the content after one to three changes.

    Args:
        content: of a sound file.
        random: what is changed.
        others: other sound files, from which parts are taken.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = random.choice(CHANGES)(content, random, others)
    return content


def changed_json(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Return JSON in which one to three members are others, twice as often as one with other bytes."""
    if random.random() < 0.3:
        return mutated(content, random, others)
    value, given = json.loads(content), json.loads(random.choice(others))
    for _ in range(random.choice((1, 1, 2, 3))):
        _change_member(value, random, [member for _, _, member in _members(given)])
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return text.replace("Infinity", "1e999").encode("utf-8", "surrogatepass")


def _change_member(value: Any, random: Random, others: Sequence[Any]) -> None:
    places = list(_members(value))
    if not places:
        return
    inner, key, member = random.choice(places)
    how = random.randrange(5)
    if how == 0:
        del inner[key]
    elif how == 1 and isinstance(inner, dict):
        inner[str(random.choice((STRANGE_JSON[0], f"{key}_", f"\x1b{key}", "")))] = inner.pop(key)
    elif how == 2 and others:
        inner[key] = deepcopy(random.choice(others))
    elif how == 3:
        several = [deepcopy(member) for _ in range(50)]
        inner[key] = random.choice(([member], {"a": member}, several, str(member)))
    else:
        inner[key] = deepcopy(random.choice(STRANGE_JSON))


def _members(value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the list or table, the place in it and the value of each member, at any depth."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in pairs:
        yield value, key, member
        yield from _members(member)


def _flip(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Change some bytes: to anything, by one bit, or to a character of text."""
    made = bytearray(content)
    for _ in range(random.randint(1, 8) if made else 0):
        place = random.randrange(len(made))
        made[place] = random.choice(
            (random.randrange(256), made[place] ^ 1 << random.randrange(8), random.randrange(32, 127))
        )
    return bytes(made)


def _cut(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Keep the beginning, the end, all but a part, or nothing."""
    low, high = sorted(random.randint(0, len(content)) for _ in range(2))
    return random.choice((content[:low], content[:low], content[high:], content[:low] + content[high:], b""))


def _insert(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    place = random.randint(0, len(content))
    return content[:place] + random.choice(STRANGE) * random.randint(1, 3) + content[place:]


def _lines(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Drop, double or swap lines."""
    rows = content.splitlines(keepends=True)
    for _ in range(random.randint(1, 3)):
        if rows:
            place = random.randrange(len(rows))
            rows[place : place + 1] = random.choice(
                ([], [rows[place]] * 2, [random.choice(rows)], [b"\n", rows[place]])
            )
    return b"".join(rows)


def _word(content: bytes, random: Random) -> Optional[re.Match[bytes]]:
    """Return the word, number or sign at a place of the file or after it; None if the file has none."""
    return TOKEN.search(content, random.randint(0, len(content))) or TOKEN.search(content)


def _token(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Replace a word, number or sign by a strange value, by another of the file, or by none."""
    one, other = _word(content, random), _word(content, random)
    if one is None or other is None:
        return content
    new = random.choice((random.choice(VALUES), random.choice(VALUES), other.group(), b""))
    return content[: one.start()] + new + content[one.end() :]


def _field(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Replace, drop or double a field of a line, or the same field of many lines."""
    separator = max((b",", b";", b" ", b"\t"), key=content.count)
    rows = content.split(b"\n")
    first = random.randrange(len(rows))
    last = first + 1 if random.random() < 0.7 else len(rows)
    place = random.randrange(rows[first].count(separator) + 1)
    value = random.choice(VALUES)
    how = random.randrange(3)
    for number in range(first, last):
        fields = rows[number].split(separator)
        fields[place : place + 1] = [[value], [], fields[place : place + 1] * 2][how]
        rows[number] = separator.join(fields)
    return b"\n".join(rows)


def _repeat(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Write a part many times."""
    low = random.randint(0, len(content))
    part = content[low : low + random.randint(1, 40)]
    return content[:low] + part * random.choice((2, 3, 30, 300)) + content[low + len(part) :]


def _nest(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Put brackets around a word, some or very many."""
    one = _word(content, random)
    if one is None:
        return content
    opens, closes = random.choice(((b"[", b"]"), (b"(", b")"), (b"{", b"}"), (b'{"a":', b"}")))
    depth = random.choice((1, 2, 25, 3000))
    return content[: one.start()] + opens * depth + one.group() + closes * depth + content[one.end() :]


def _recode(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Give another encoding, other ends of lines or another separator."""
    text = content.decode("latin-1")
    return random.choice(
        (
            lambda: text.encode("utf-16"),
            lambda: text.encode("utf-8-sig"),
            lambda: text.replace("e", "é").encode("latin-1"),
            lambda: content.replace(b"\n", b"\r\n"),
            lambda: content.replace(b"\n", b"\r"),
            lambda: content.replace(b",", random.choice((b";", b"\t", b"|"))),
        )
    )()


def _splice(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Put a part of another file in place of a part."""
    other = random.choice(others) if others else content
    low, high = sorted(random.randint(0, len(content)) for _ in range(2))
    start = random.randint(0, len(other))
    return content[:low] + other[start : start + random.randint(1, 200)] + content[high:]


CHANGES = [_flip, _cut, _insert, _lines, _token, _token, _token, _field, _field, _repeat, _nest, _recode, _splice]

"""Reasons shown on one line."""

from __future__ import annotations

import sys
import traceback

import pytest

from fairbench.texts import error_line


def told(error):
    """Return the line of a traceback with an error."""
    try:
        raise error
    except BaseException:
        return error_line(traceback.format_exc())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one line"), "ValueError: one line"),
        (ValueError("shapes do not match\n  expected (3,)\ngot (4,)"), "ValueError: shapes do not match …"),
        (
            RuntimeError("Error(s) in loading:\n\tMissing key: w\n\tMore"),
            "RuntimeError: Error(s) in loading: Missing key: w …",
        ),
        (RuntimeError("the state lacks:\n  w"), "RuntimeError: the state lacks: w"),
        (ValueError("\nAll 5 fits failed.\nIt is likely"), "ValueError: All 5 fits failed. …"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError(), "KeyError"),
        (SyntaxError("invalid", ("x.py", 1, 2, "a b")), "SyntaxError: invalid"),
    ],
)
def test_of_a_traceback_the_line_is_the_error_with_what_its_message_says_first(error, line):
    assert told(error) == line


def test_of_a_chain_the_error_is_the_last():
    try:
        try:
            raise ValueError("first\nof two")
        except ValueError as error:
            raise TypeError("second\nof two") from error
    except TypeError:
        assert error_line(traceback.format_exc()) == "TypeError: second …"


def test_a_traceback_in_a_message_gives_the_error_in_it():
    """As of a process that sends the traceback of another one."""
    inner = "Traceback (most recent call last):\n  File 'x', line 1, in f\n    g()\n    ~^^\nValueError: inner\n"
    assert told(RuntimeError(f"the worker failed:\n{inner}")) == "ValueError: inner"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups of exceptions came with Python 3.11")
def test_a_group_of_errors_is_named_and_not_its_frame():
    group = ExceptionGroup("both failed", [ValueError("a"), TypeError("b")])  # noqa: F821 - of Python 3.11
    assert told(group) == "ExceptionGroup: both failed (2 sub-exceptions) …"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_a_note_does_not_stand_for_the_error():
    error = ValueError("bad")
    error.add_note("seen in row 3")
    assert told(error) == "ValueError: bad …"


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("timed out after 10 s", "timed out after 10 s"),
        ("\n its process ended:\n  Killed\n", "its process ended: Killed"),
        ("", ""),
        ("Traceback (most recent call last):\n  File 'x', line 1\n", "File 'x', line 1"),
    ],
)
def test_other_reasons_are_told_by_their_first_line(reason, line):
    assert error_line(reason) == line

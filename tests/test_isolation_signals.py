"""Alarms, handlers, interrupts and forks of strangers' code stay within the block that it runs in."""

from __future__ import annotations

import builtins
import os
import signal
import sys

import pytest
from torch.utils.data._utils import signal_handling

from fairbench.system.isolation import process_state_kept


@pytest.mark.parametrize("timer", [signal.ITIMER_REAL, signal.ITIMER_PROF], ids=["real", "prof"])
def test_an_alarm_that_nothing_handles_raises_in_the_block(timer):
    def never_end():
        signal.setitimer(timer, 0.01)
        while True:
            sum(range(1000))

    with pytest.raises(TimeoutError, match="an alarm set here went off"), process_state_kept():
        never_end()
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_an_interrupt_that_a_library_has_turned_into_its_own_error_is_one_again():
    def turn_into_an_error():
        try:
            raise KeyboardInterrupt("from the user")
        except KeyboardInterrupt as interrupt:
            raise ValueError("a library's own") from interrupt

    with pytest.raises(KeyboardInterrupt, match="from the user"), process_state_kept():
        turn_into_an_error()


class Odd(Exception):
    """An error that cannot be asked whether it is true."""

    def __bool__(self):
        raise TypeError


def in_a_circle():
    one, other = Odd("one"), Odd("other")
    one.__cause__, other.__cause__ = other, one
    return one


def cause_of_itself():
    error = Odd("one")
    error.__cause__ = error
    return error


def context_in_a_circle():
    one, other = Odd("one"), Odd("other")
    one.__context__, other.__context__ = other, one
    return one


@pytest.mark.parametrize("make", [in_a_circle, cause_of_itself, context_in_a_circle])
def test_an_error_that_comes_from_itself_ends_the_block_and_nothing_hangs(make):
    error = make()
    with pytest.raises(Odd, match="one") as caught, process_state_kept():
        raise error
    assert caught.value is error


def test_an_interrupt_behind_a_circle_is_found():
    error = in_a_circle()
    error.__cause__.__context__ = KeyboardInterrupt("from the user")
    with pytest.raises(KeyboardInterrupt, match="from the user"), process_state_kept():
        raise error


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are of Python 3.11")
def test_an_interrupt_among_a_group_of_errors_is_found():
    group = builtins.BaseExceptionGroup("two", [ValueError("x"), KeyboardInterrupt("from the user")])
    with pytest.raises(KeyboardInterrupt, match="from the user"), process_state_kept():
        raise group


def test_an_alarm_that_is_left_behind_never_goes_off():
    before = signal.getsignal(signal.SIGALRM)
    with process_state_kept() as changed:
        signal.signal(signal.SIGALRM, lambda *what: 1 / 0)
        signal.setitimer(signal.ITIMER_REAL, 3600, 0.05)
    assert changed == ["a pending alarm", "a signal handler"]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_fork_that_comes_back_ends_there(tmp_path, capfd):
    marker = tmp_path / "marker"
    with process_state_kept():
        print("once")
        child = os.fork()
        if not child:
            sys.stdout.write("by the child\n")
    with marker.open("a") as file:
        file.write(f"{os.getpid()}\n")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert marker.read_text() == f"{os.getpid()}\n"
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.split("\n")) == ["", "by the child", "once"]


def test_the_handler_that_torch_sets_for_its_loaders_is_put_back_and_nobody_is_blamed(monkeypatch):
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    before = signal.getsignal(signal.SIGCHLD)
    with process_state_kept() as changed:
        signal_handling._set_SIGCHLD_handler()
        assert signal.getsignal(signal.SIGCHLD) is not before
    assert changed == []
    assert signal.getsignal(signal.SIGCHLD) is before

"""The classes of all commands: what an option would drop or misread is refused or said here, for all of them."""

from __future__ import annotations

import copy
import math
from typing import Any

import click

from fairbench.cli.options import say


class Command(click.Command):
    """A command that says which values of an option it drops, and takes no empty text and no nan."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the arguments as click does, which lets the last of several values win, and check them."""
        typed = list(args)  # click takes away what it has read
        left = super().parse_args(context, args)
        if not context.resilient_parsing:
            given = _given(self, context, typed)
            for parameter in self.params:
                if isinstance(parameter, click.Option):
                    _check_texts(self, context, parameter, given.get(str(parameter.name)) or [])
                    _check_numbers(context, parameter)
        return left


class Group(Command, click.Group):
    """A command with commands."""

    command_class = Command


def _given(command: click.Command, context: click.Context, typed: list[str]) -> dict[str, list[Any]]:
    """Return all that was given for each option, by the name of its parameter."""
    parameters = [copy.copy(parameter) for parameter in command.params]
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            parameter.multiple = True
    given, _, _ = click.Command(command.name, params=parameters).make_parser(context).parse_args(typed)
    return given


def _check_texts(command: click.Command, context: click.Context, option: click.Option, given: list[Any]) -> None:
    """Refuse an empty text and flags that contradict each other; say that the last one counts if there are several.

    Raises:
        UsageError: flags contradict each other.
        BadParameter: a text is empty.
    """
    if option.is_flag:
        if len(set(given)) > 1:
            same = [other for other in command.params if isinstance(other, click.Option) and other.name == option.name]
            names = " and ".join(name for other in same for name in (*other.opts, *other.secondary_opts))
            raise click.UsageError(f"{names} exclude each other; give one of them", context)
        return
    for value in given:
        if not value.strip():
            raise click.BadParameter(f"{value!r} is empty; give a value, or leave the option out", context, option)
    if len(given) > 1 and not option.multiple:
        say(f"warning: {option.opts[0]} is given {len(given)} times; {given[-1]!r} counts, the last one")


def _check_numbers(context: click.Context, option: click.Option) -> None:
    """Refuse nan, which no range of click's leaves out, and infinity.

    Raises:
        BadParameter: a number is one of them.
    """
    value = context.params.get(str(option.name))
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise click.BadParameter(f"{number} is not a finite number; give one", context, option)

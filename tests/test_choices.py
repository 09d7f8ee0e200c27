"""The small language of choices on the command line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.api import build_choice, parameter
from fairbench.cells import Choice
from fairbench.choices import parse_choices, parse_value
from fairbench.errors import SuiteError, UnknownName


def test_alternatives_become_one_choice_each():
    choices = parse_choices("faalgrad[split=config1|config2,inner_steps=1|10],threshold")
    assert [str(choice) for choice in choices] == [
        "faalgrad[inner_steps=1,split=config1]",
        "faalgrad[inner_steps=10,split=config1]",
        "faalgrad[inner_steps=1,split=config2]",
        "faalgrad[inner_steps=10,split=config2]",
        "threshold",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("true", True),
        ("config1", "config1"),
        ("(64,32)", [64, 32]),
        ("()", []),
        ("NaN", "NaN"),
        ("null", "null"),
    ],
)
def test_values_have_the_type_they_look_like(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp[lr", "leaves 1 bracket open"),
        ("mlp]", "closes a bracket that is not open"),
        ("mlp,,threshold", "has an empty name"),
        ("mlp[lr]", "'lr' is not a parameter"),
        ("mlp[lr=]", "'lr=' is not a parameter"),
        ("mlp[lr=1,lr=2]", "gives 'lr' twice"),
        ("mlp[lr=1]x", "goes on after its parameters"),
    ],
)
def test_malformed_text_is_refused_with_what_was_seen(text, message):
    with pytest.raises(SuiteError, match=message):
        parse_choices(text)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
values = st.one_of(
    st.integers(-1000, 1000),
    st.booleans(),
    names.filter(lambda word: word not in ("true", "false", "null")),
    st.lists(st.integers(0, 99), max_size=3),
)


@given(names, st.dictionaries(names, values, max_size=4))
def test_a_choice_reads_back_as_it_was_written(name, params):
    assert parse_choices(str(Choice(name, params))) == [Choice(name, params)]


@dataclass(frozen=True)
class Part:
    """A part of a component, with parameters of its own."""

    size: int = parameter(1, "how large", minimum=1)


def test_a_choice_within_a_parameter_is_built_and_checked():
    classes = {"part": Part, "other": Part}
    assert build_choice("part[size=3]", classes, "generator") == Part(3)
    assert parse_choices("loop[generator=part[size=3],steps=2]")[0].params == {"generator": "part[size=3]", "steps": 2}
    for text, error, message in [
        ("prat", UnknownName, r"no generator is named 'prat'; did you mean 'part'\? \(there are other, part\)"),
        ("part[width=1]", UnknownName, "no parameter of generator part is named 'width'"),
        ("part[size=0]", SuiteError, "generator part: size is 0; it must be at least 1"),
        ("part[size=1|2]", SuiteError, r"generator is 'part\[size=1\|2\]', which names 2; name one"),
    ]:
        with pytest.raises(error, match=message):
            build_choice(text, classes, "generator")

"""The small language of choices on the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbench.cells import Choice
from fairbench.choices import parse_choices, parse_value
from fairbench.errors import SuiteError


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

"""The small language of choices on the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairbench.api import build_choice, parameter
from fairbench.cells import Choice, canonical
from fairbench.choices import parse_choices
from fairbench.errors import SuiteError, UnknownName
from fairbench.notation import parse_value, show_value


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
        (".001", 0.001),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("-.5e-3", -0.0005),
        ("5.E2", 500.0),
        ("(.5,1)", [0.5, 1]),
        (".", "."),
        ("-.", "-."),
        (".5.", ".5."),
        ("1.2.3", "1.2.3"),
        (".e5", ".e5"),
        ("007", "007"),
        ("\u0665.", "\u0665."),
        ("true", True),
        ("config1", "config1"),
        ("(64,32)", [64, 32]),
        ("()", []),
        ("(a,(1,b))", ["a", [1, "b"]]),
        ("(8,)", [8]),
        ("(a)(b)", "(a)(b)"),
        ("NaN", "NaN"),
        ("null", "null"),
        ("None", None),
        ('"None"', "None"),
        ('"a,b|c]"', "a,b|c]"),
        ("'a\\n\"'", 'a\\n"'),
        (r'"a\n\""', 'a\n"'),
        ("it's", "it's"),
        ("part[size=3|4]", "part[size=3|4]"),
        ('{"a": [1, "b,c"]}', {"a": [1, "b,c"]}),
        ("{a}", "{a}"),
    ],
)
def test_values_have_the_type_they_look_like(text, value):
    assert parse_value(text) == value
    assert isinstance(parse_value(text), type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp[lr", "leaves 1 bracket open"),
        ("mlp]", "closes a bracket that is not open"),
        ("mlp,,threshold", "has an empty name"),
        ("mlp[lr]", "'lr' is not a parameter"),
        ("mlp[lr=]", "'lr=' is not a parameter"),
        ("mlp[lr=1,lr=2]", "gives 'lr' twice"),
        ("mlp[lr=1]x", "continues after its parameters"),
        ("mlp[lr=1|]", "has an empty alternative"),
        ("mlp[lr=(1,,2)]", "has an empty item"),
        ('mlp[text="a]', "leaves a quote open, at character 10"),
        ("mlp[text='a'b]", "continues after its closing quote"),
        (r'mlp[text="\x"]', "in single quotes it is taken literally"),
        ("mlp[x=" + "(" * 2000 + ")" * 2000 + "]", "nests brackets more than 20 deep"),
        ("mlp[" + ",".join(f"{name}=0|1|2|3|4|5|6|7|8|9" for name in "abcde") + "]", "more than 10000 combinations"),
    ],
)
def test_malformed_text_is_refused_with_what_was_seen(text, message):
    with pytest.raises(SuiteError, match=message):
        parse_choices(text)


awkward = st.sampled_from(
    ["None", "none", "true", "1.50", "007", "NaN", ".5", "5.", "-.5e3", "(a)", "[1]", "{}", '{"a":1}', "it's", "'"]
)
texts = st.one_of(st.text(max_size=8), st.text("ab 1.()[]{}|,='\"\\:\n\x1b\ud800", max_size=10), awkward)
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.one_of(
    st.recursive(plain, lambda inner: st.lists(inner, max_size=3), max_leaves=6),
    st.dictionaries(texts, plain, max_size=3),
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@settings(suppress_health_check=list(HealthCheck))
@given(names, st.dictionaries(names, values, max_size=3))
def test_a_choice_reads_back_as_it_was_written(name, params):
    shown = str(Choice(name, params))
    assert shown.isprintable()
    (choice,) = parse_choices(shown)
    assert canonical(asdict(choice)) == canonical(asdict(Choice(name, params)))  # as JSON: 1 is not 1.0, nor true
    assert len(parse_choices(f"{shown},other")) == 2


@settings(suppress_health_check=list(HealthCheck))
@given(st.text("am 1.()[]{}|,='\"\\:e", max_size=20))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        choices = parse_choices(text)
    except SuiteError:
        return
    for choice in choices:
        (again,) = parse_choices(str(Choice("m", choice.params)))
        assert again.params == choice.params


@pytest.mark.parametrize("word", ["config1", "a b", "part[size=3,k=(1,2)]", "none", "2018-01", "a=b", "x'y"])
def test_usual_words_are_shown_without_quotes(word):
    assert show_value(word) == word


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

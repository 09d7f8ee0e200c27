"""Parameters of components: every annotation is checked and converted, or refused when its plugin is loaded."""

from __future__ import annotations

import enum
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairbench.api import parameter
from fairbench.cells import Choice, canonical
from fairbench.choices import parse_choices
from fairbench.errors import PluginError, SuiteError, UnknownName
from fairbench.plugins.parameters import build, check_component, check_parameters, describe_parameters, values
from fairbench.plugins.registry import Plugin, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable


class Mode(enum.Enum):
    DP = "dp"
    EO = 2
    ODD = ("a", 1)


Width = typing.NewType("Width", int)


@dataclass(frozen=True)
class Every:
    """Every kind of parameter."""

    name: typing.ClassVar[str] = "every"
    number: float = parameter(1, "a default that must become a float")
    depth: int | None = parameter(None, "as text under Python 3.9", minimum=1)
    word: str = "x"
    either: Union[str, float] = "auto"
    pair: tuple[int, str] = (1, "a")
    row: tuple[float, ...] = (0.5,)
    widths: list[int] = field(default_factory=lambda: [8, 8])
    several: Sequence[str] = ("a",)
    unordered: frozenset[str] = frozenset({"b", "a"})
    anything: tuple = (1, "a")
    mode: Literal["dp", "2", 3] = "dp"
    member: Mode = Mode.DP
    folder: Optional[Path] = None
    options: dict[str, float] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)
    width: Width = Width(3)
    loose: int = None
    whatever: Any = 1
    maybe: Optional[tuple[str, ...]] = None
    quiet: Optional[Literal["none", "all"]] = None
    many: Union[int, tuple[float, ...]] = 1
    bag: set = field(default_factory=set)
    made: int = field(default=0, init=False)


def checked(text):
    (choice,) = parse_choices(f"every[{text}]")
    (value,) = check_parameters(Every, "method every", choice.params).values()
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("number=2", 2.0),
        ("depth=3", 3),
        ("depth=none", None),
        ("depth=None", None),
        ("word=2018", "2018"),
        ("word=1.50", "1.50"),
        ("word=1e999", "1e999"),
        ("word=true", "true"),
        ("word=None", "None"),
        ("word=(a, b)", "(a, b)"),
        ('word={"a": 1}', '{"a": 1}'),
        ('word="a,b"', "a,b"),
        ("either=auto", "auto"),
        ("either=2", 2.0),
        ('either="2"', "2"),
        ("pair=(2018,2018)", (2018, "2018")),
        ("row=1", (1.0,)),
        ("row=()", ()),
        ("widths=(1,2)", [1, 2]),
        ("several=(1.0,b)", ("1.0", "b")),
        ("unordered=(c,c)", frozenset({"c"})),
        ("anything=(1,(a,true))", (1, ["a", True])),
        ("mode=2", "2"),
        ("mode=3", 3),
        ("member=2", Mode.EO),
        ("member=dp", Mode.DP),
        ("member=ODD", Mode.ODD),
        ("folder=none", Path("none")),
        ("folder=None", None),
        ("folder=1.0", Path("1.0")),
        ('options={"a":1}', {"a": 1.0}),
        ('table={"a":[1,"b"]}', {"a": [1, "b"]}),
        ("width=4", 4),
        ("loose=None", None),
        ("maybe=none", None),
        ("maybe=all", ("all",)),
        ("quiet=none", "none"),
        ("quiet=None", None),
        ("whatever=(1,b)", [1, "b"]),
    ],
)
def test_a_value_becomes_what_the_annotation_says(text, value):
    seen = checked(text)
    assert seen == value
    assert type(seen) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number=fast", "number is 'fast'; it must be a number"),
        ("number=true", "number is true; it must be a number"),
        ("number=1e999", "number is inf; it must be a finite number"),
        ("depth=abc", "depth is 'abc'; it must be a whole number"),
        ("depth=0", "depth is 0; it must be at least 1"),
        ("number='1'", "number is '1'; it must be a number"),
        ("depth=1.5", "depth is 1.5; it must be a whole number"),
        ("many=x", "many is 'x'; it must be a whole number or tuple.float, ....$"),
        ("pair=(1,a,b)", r"pair is \(1,a,b\); it must have 2 items, not 3"),
        ("pair=(a,b)", "pair is 'a'; it must be a whole number"),
        ("widths=abc", "widths is 'abc'; it must be a whole number"),
        ("bag=((a),b)", r"bag is \(\(a\),b\); the items of a set are plain values"),
        ("mode=zz", 'mode is zz; it must be one of dp, "2", 3'),
        ("member=odd", "member is odd; it must be one of dp, 2, ODD"),
        ("options=3", "options is 3; it must be a table"),
        ('options={"a":"b"}', "options.a is 'b'; it must be a number"),
        ("made=1", "no parameter of method every is named 'made'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_was_seen(text, message):
    with pytest.raises((SuiteError, UnknownName), match=message):
        checked(text)


@dataclass(frozen=True)
class Within:
    """Numbers within limits, in values of every shape."""

    bag: frozenset[int] = parameter(frozenset({1}), "bag", minimum=1, maximum=9)
    rows: tuple[tuple[int, ...], ...] = parameter(((1,),), "rows", minimum=1, maximum=9)
    table: Optional[Mapping[str, Any]] = parameter(None, "table", minimum=1, maximum=9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bag": [3, 0]}, r"bag is \(0,3\); it must be at least 1"),
        ({"bag": [10]}, r"bag is \(10\); it must be at most 9"),
        ({"rows": [[1], [2, 0]]}, r"rows is \(\(1\),\(2,0\)\); it must be at least 1"),
        ({"table": {"a": 3, "b": 0}}, r'table is {"a":3,"b":0}; it must be at least 1'),
        ({"table": {"a": {"b": [True, "x", 10]}}}, r'table is {"a":{"b":\[true,"x",10\]}}; it must be at most 9'),
    ],
)
def test_limits_hold_for_every_number_however_deep_it_stands(params, message):
    with pytest.raises(SuiteError, match=f"^method within: {message}$"):
        check_parameters(Within, "method within", params)
    check_parameters(Within, "method within", {"bag": [1, 9], "rows": [[1], []], "table": {"a": [1, {"b": 9}]}})


def test_a_number_in_a_suite_file_is_no_text_but_an_option_that_looks_like_one_is():
    with pytest.raises(SuiteError, match="word is 2018; it must be a text, so put it in quotes"):
        check_parameters(Every, "method every", {"word": 2018})


texts = st.text(max_size=5)
given_params = st.fixed_dictionaries(
    {},
    optional={
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "depth": st.one_of(st.none(), st.integers(1)),
        "word": st.one_of(texts, st.sampled_from(["None", "none", "1.50", "true", "(a)", "{}"])),
        "either": st.one_of(texts, st.floats(allow_nan=False, allow_infinity=False)),
        "pair": st.tuples(st.integers(), texts),
        "several": st.lists(texts, max_size=3).map(tuple),
        "mode": st.sampled_from(["dp", "2", 3]),
        "member": st.sampled_from(Mode),
        "folder": st.one_of(st.none(), texts.map(Path)),
        "options": st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
        "unordered": st.frozensets(texts, max_size=3),
    },
)


@settings(suppress_health_check=list(HealthCheck))
@given(given_params)
def test_what_is_recorded_and_shown_builds_the_same_component(params):
    built = Every(**params)
    recorded = json.loads(canonical(values(built)))
    (typed,) = parse_choices(str(Choice("every", recorded)))
    assert build(Every, "method every", recorded) == build(Every, "method every", typed.params)
    again = values(build(Every, "method every", typed.params))
    assert canonical(again) == canonical({**recorded, "number": float(built.number)})


@dataclass(frozen=True)
class FromNumpy:
    """Defaults that numpy made."""

    lr: float = parameter(np.float32(0.1), "lr")
    steps: int = parameter(np.int64(3), "steps")
    depths: tuple[int, ...] = parameter(tuple(np.arange(1, 4)), "depths")


def test_defaults_that_numpy_made_are_recorded_as_plain_numbers():
    recorded = values(build(FromNumpy, "method x", {}))
    assert json.loads(canonical(recorded)) == {"lr": float(np.float32(0.1)), "steps": 3, "depths": [1, 2, 3]}


@dataclass(frozen=True)
class Needs:
    """One parameter without a default."""

    alpha: float
    beta: int = 1


@dataclass(frozen=True)
class Ordered:
    """Two parameters that must be in order."""

    low: float = 0.1
    high: float = 0.9

    def __post_init__(self):
        if self.low >= self.high:
            raise SystemExit(f"low={self.low} must be below high={self.high}")


def test_what_cannot_be_built_is_refused_in_words():
    with pytest.raises(SuiteError, match=r"method needs needs alpha, which has no default; write needs\[alpha=...\]"):
        build(Needs, "method needs", {"beta": 2})
    message = r"method x cannot be built with low=0.95: SystemExit: low=0.95 must be below high=0.9"
    with pytest.raises(SuiteError, match=message):
        build(Ordered, "method x", {"low": 0.95})
    (alpha, beta) = describe_parameters(Needs)
    assert (alpha["required"], alpha["default"], beta["required"], beta["default"]) == (True, None, False, 1)


@dataclass(frozen=True)
class OddlyMade:
    """A class that makes something else."""

    def __new__(cls):
        return 5


@dataclass(frozen=True)
class Ends:
    """A class that raises what is hardly ever caught."""

    interrupted: bool = False

    def __post_init__(self):
        raise KeyboardInterrupt if self.interrupted else GeneratorExit("the end")


def test_whatever_a_class_raises_or_makes_is_refused_in_words():
    with pytest.raises(SuiteError, match=r"^method x cannot be built: OddlyMade\(\) made an object of type int; its"):
        build(OddlyMade, "method x", {})
    with pytest.raises(SuiteError, match=r"^method x cannot be built: GeneratorExit: the end$"):
        build(Ends, "method x", {})
    with pytest.raises(KeyboardInterrupt):
        build(Ends, "method x", {"interrupted": True})


@dataclass(frozen=True)
class TypeCheckingOnly:
    x: Iterable[int] = (1,)


@dataclass(frozen=True)
class Unsupported:
    x: typing.Callable = print


@dataclass(frozen=True)
class Nested:
    x: Optional[list[bytes]] = None


@dataclass(frozen=True)
class Bytes:
    x: Literal[b"a"] = b"a"


@dataclass(frozen=True)
class Malformed:
    x: 1 / int = 1


@dataclass(frozen=True)
class IntegerKeys:
    x: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Infinite:
    x: float = float("inf")


@dataclass(frozen=True)
class WrongDefault:
    x: int = "many"


@dataclass(frozen=True)
class BadFactory:
    x: int = field(default_factory=lambda: 1 // 0)


@dataclass(frozen=True)
class OneText:
    x: str = parameter("d", "x", choices=("dp"))


@dataclass(frozen=True)
class UsedUp:
    x: str = parameter(MISSING, "x", choices=(word for word in ("dp", "eo")))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (OneText, r"parameter x: choices is 'dp'; it must be a tuple .* ends with a comma: \('x',\)\)"),
        (UsedUp, "parameter x: choices is <generator object .*>; it must be a tuple of the values allowed"),
        (
            TypeCheckingOnly,
            "parameter x: its annotation 'Iterable.int.' cannot be read: name 'Iterable' is not defined",
        ),
        (Unsupported, "parameter x: values of type Callable cannot be given"),
        (Nested, "parameter x: values of type bytes cannot be given"),
        (Bytes, "parameter x: values of type bytes cannot be given"),
        (Malformed, "parameter x: its annotation .* cannot be read: unsupported operand"),
        (IntegerKeys, r"parameter x: a table's names are texts; write dict\[str, ...\], not dict\[int, str\]"),
        (Infinite, "its default does not fit: inf is not a plain value"),
        (WrongDefault, "its default does not fit: parameter x is 'many'; it must be a whole number"),
        (BadFactory, "its default does not fit: integer division or modulo by zero"),
    ],
)
def test_a_component_that_could_not_be_checked_is_refused_by_itself(cls, message):
    with pytest.raises(PluginError, match=message):
        check_component(cls)
    bad, good = (type(name, (kind,), {"name": name}) for name, kind in (("bad", cls), ("good", Ordered)))
    registry = Registry()
    registry.add(Plugin("acme", "acme-fair", "1"), {"methods": [bad, good]})
    assert registry.names("methods") == ["good"]
    (problem,) = registry.problems
    assert problem.problem.startswith("method bad: ")
    with pytest.raises(PluginError, match=r"plugin acme \(acme-fair 1\) is broken: method bad: "):
        registry.get("methods", "bad")


@pytest.mark.parametrize("choices", [("a", "b"), ["a", "b"], {"a", "b"}, {"a": 1, "b": 2}, {"a": 1, "b": 2}.keys()])
def test_choices_can_be_any_collection(choices):
    @dataclass(frozen=True)
    class Chooses:
        x: Any = field(default="a", metadata={"choices": choices})

    check_component(Chooses)
    assert build(Chooses, "method x", {"x": "b"}).x == "b"
    for refused in ("c", ["a"]):
        with pytest.raises(SuiteError, match=r"method x: x is .*; it must be one of"):
            build(Chooses, "method x", {"x": refused})


def test_the_values_that_a_type_enumerates_are_described():
    rows = {row["name"]: row for row in describe_parameters(Every)}
    assert rows["mode"]["choices"] == ["dp", "2", 3]
    assert rows["member"]["choices"] == ["dp", 2, "ODD"]
    assert rows["widths"]["default"] == [8, 8]
    assert "made" not in rows


def test_a_list_in_square_brackets_is_not_taken_for_one_text():
    @dataclass(frozen=True)
    class Listed:
        name = "listed"
        words: list[str] = field(default_factory=list)

    with pytest.raises(SuiteError, match=r"a list is written in round brackets: \(\"a,b\",c\)"):
        build(Listed, "method listed", parse_choices('listed[words=["a,b",c]]')[0].params)
    assert build(Listed, "method listed", parse_choices("listed[words=([a],)]")[0].params).words == ["[a]"]

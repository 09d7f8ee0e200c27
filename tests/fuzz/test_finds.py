"""What the fuzzer has found, each as the smallest input that shows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fairbench_datasets import celeba

from fairbench.analysis.audited import Question, read_audited
from fairbench.choices import parse_choices
from fairbench.errors import DataError, PaperError, StoreError, SuiteError
from fairbench.papers.checked import read_toml
from fairbench.papers.published import read_published
from fairbench.plugins.components import Paper
from fairbench.records import Results
from fairbench.running.runfile import RUN_FILE, read_run
from fairbench.running.session import suite_of

HERE = Path(__file__).parent
OLD = HERE.parent / "old_run" / RUN_FILE
TINY = HERE.parent / "papers" / "tiny"


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_in_run_json_that_is_read_as_infinite_is_refused(number, tmp_path):
    run = json.loads(OLD.read_text(encoding="utf-8"))
    run["suite"]["anything"] = 12345.5
    (tmp_path / RUN_FILE).write_text(json.dumps(run).replace("12345.5", number))
    with pytest.raises(StoreError, match="cannot be read: Out of range float values"):
        read_run(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("metrics", 5), ("methods", [5]), ("datasets", None), ("baseline", 5)])
def test_what_reports_read_of_a_suite_in_run_json_must_have_its_shape(key, value, tmp_path):
    run = json.loads(OLD.read_text(encoding="utf-8"))
    run["suite"][key] = value
    (tmp_path / RUN_FILE).write_text(json.dumps(run))
    with pytest.raises(StoreError, match=rf"suite\.{key} is "):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("datasets", 5, "datasets is 5; it must be a list"),
        ("methods", None, "methods is None; it must be a list"),
        ("metrics", "accuracy", "metrics is 'accuracy'; it must be a list"),
        ("parameters", {"any": 5}, "parameters must be tables such as"),
        ("parameters", {"any": {"mlp": [1]}}, "parameters must be tables such as"),
        ("data", 5, "data is 5; it must be a table"),
    ],
)
def test_a_suite_in_run_json_of_another_shape_is_refused(key, value, told):
    kept = {"name": "x", "datasets": ["a"], "methods": ["b"], key: value}
    with pytest.raises(SuiteError, match=told):
        suite_of(Results([], {"suite": kept}, 0, {}, None))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 3000 + "]" * 3000, "is not valid TOML: "),
        ("a = " + "9" * 5000, "is not valid TOML: |a whole number of"),  # older Pythons read it
        ("a = " + "9" * 400, "a is a whole number of 1329 bits; at most 64 can be kept"),
        ("a = [1, inf]", "a is inf; it must be a finite number"),
        ("a = 1979-05-27", "write it in quotes"),
    ],
)
def test_a_papers_file_with_what_nothing_can_have_is_refused(text, told, tmp_path):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(PaperError, match=told):
        read_toml(tmp_path / "x.toml", "paper x, x.toml")


def test_an_attribute_of_celeba_that_is_named_twice_is_refused(tmp_path):
    (tmp_path / celeba.ATTRIBUTES).write_text("1\nAttractive Male Male\n000000.jpg 1 1 -1\n")
    with pytest.raises(DataError, match="line 2: two columns are named 'Male'; damaged"):
        celeba._attributes(tmp_path / celeba.ATTRIBUTES)


def test_a_name_of_several_lines_makes_no_message_of_several_lines(tmp_path):
    shutil.copytree(TINY, tmp_path / "tiny")
    file = tmp_path / "tiny" / "published.toml"
    text = file.read_text(encoding="utf-8").replace(
        'method = "mlp[epochs=3]", label = "short", accuracy = 0.6', 'method = "m\\n\\nl"'
    )
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PaperError) as error:
        read_published(Paper("tiny", "A study", "Nobody", tmp_path / "tiny", {"count": len}))
    assert "\n" not in str(error.value)
    with pytest.raises(SuiteError) as error:
        parse_choices("a\nb[c=" + "|".join(map(str, range(10_001))) + "]")
    assert "\n" not in str(error.value)


def test_values_with_line_ends_are_named_on_one_line(tmp_path):
    (tmp_path / "p.csv").write_text('sex,p\nf,no\nm,yes\nm,"a\nb"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"p has 3 values \('a\\nb', no, yes\); an outcome has two"):
        read_audited(Question(tmp_path / "p.csv", groups=("sex",), prediction="p"))

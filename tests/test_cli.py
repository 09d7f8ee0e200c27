"""The command line as people use it: results on stdout, talk on stderr, the right exit status, never a traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from fairbench.cli.main import cli
from fairbench.testing.audit.verdict import AuditFinding as Audited

HERE = Path(__file__).parent
MISBEHAVING = HERE / "broken" / "misbehaving.py"
ROOT = HERE.parent
GRID = [
    "--methods",
    "constant,mlp[epochs=2|3]",
    "--datasets",
    "synthetic[rows=300]",
    "--repeats",
    "2",
    "--workers",
    "1",
]


def test_help_is_one_sentence_and_two_examples(fairbench):
    status, out, _ = fairbench("--help")
    assert status == 0
    assert "Benchmark fairness methods: the same splits for all, real data" in out
    assert "  fairbench run --methods faalgrad,threshold --datasets all\n" in out
    for command in (
        "run",
        "reproduce",
        "report",
        "export",
        "rescore",
        "store",
        "merge",
        "verify",
        "list",
        "show",
        "plugins",
        "check",
        "audit",
        "completion",
    ):
        status, out, _ = fairbench(command, "--help")
        assert status == 0
        assert "Examples:" in out
        examples = out.partition("Examples:")[2]
        assert examples.count("  fairbench " + command) + examples.count(" fairbench plugins") >= 2, command


def test_a_run_prints_its_table_and_keeps_everything(fairbench, tmp_path):
    status, out, err = fairbench("run", *GRID, "--out", "r")
    assert status == 0
    assert "synthetic[rows=300] by group" in out
    assert "mlp[epochs=2]" in out
    assert "mlp[epochs=3]" in out
    assert "±" in out
    assert "6 cells: 6 done, 0 skipped, 0 failed; everything is in r" in err
    assert {path.name for path in (tmp_path / "r").iterdir()} >= {
        "run.json",
        "results.sqlite",
        "report.md",
        "report.csv",
        "report.tex",
    }


def test_run_json_says_what_produced_the_numbers(fairbench, tmp_path):
    fairbench("run", *GRID, "--out", "r")
    run = json.loads((tmp_path / "r" / "run.json").read_text())
    session = run["sessions"][-1]
    assert run["suite"]["repeats"] == 2
    assert len(run["datasets"]["synthetic[rows=300]"]) == 64
    assert session["versions"]["torch"]
    assert session["platform"]
    assert session["started"] <= session["finished"]
    assert session["command"] == ["run", *GRID, "--out", "r"]


def test_the_same_command_again_redoes_nothing_and_prints_the_same_table(fairbench, tmp_path):
    _, first, _ = fairbench("run", *GRID, "--out", "r")
    before = list(csv.DictReader(io.StringIO(fairbench("export", "r")[1])))
    status, second, _ = fairbench("run", *GRID, "--out", "r")
    assert status == 0
    assert first == second
    assert list(csv.DictReader(io.StringIO(fairbench("export", "r")[1]))) == before  # seconds too: nothing was run


def test_a_directory_with_another_suite_is_refused(fairbench):
    fairbench("run", *GRID, "--out", "r")
    before = Path("r/run.json").read_bytes()
    status, out, err = fairbench("run", *GRID[:-4], "--repeats", "1", "--workers", "1", "--out", "r")
    assert (status, out) == (2, "")
    assert "r holds a run of another suite" in err
    assert "of its cells are not among the" in err
    assert f"its last command was: {shlex.join(['fairbench', 'run', *GRID, '--out', 'r'])})" in err
    assert "or choose another --out" in err
    assert Path("r/run.json").read_bytes() == before


def test_without_out_the_directory_is_dated_under_runs(fairbench, tmp_path):
    _, _, err = fairbench("run", *GRID)
    (made,) = (tmp_path / "runs").iterdir()
    assert f"everything is in runs/{made.name}" in err


def test_dry_run_prints_the_cells_and_runs_nothing(fairbench, tmp_path):
    status, out, err = fairbench("run", *GRID, "--dry-run")
    assert status == 0
    assert len(out.splitlines()) == 6
    assert "6 cells" in err
    status, out, _ = fairbench("run", *GRID, "--dry-run", "--json")
    assert [json.loads(line)["repeat"] for line in out.splitlines()] == [0, 0, 0, 1, 1, 1]
    assert not (tmp_path / "runs").exists()


def test_options_win_over_the_suite_file(fairbench, tmp_path):
    (tmp_path / "s.toml").write_text('datasets = ["synthetic"]\nmethods = ["constant"]\nrepeats = 9\n')
    _, out, _ = fairbench("run", "s.toml", "--repeats", "1", "--dry-run")
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "mpl", "--datasets", "all"], "no method is named 'mpl'; did you mean 'mlp'?"),
        (
            ["--methods", "mlp", "--datasets", "synthetics"],
            "no dataset is named 'synthetics'; did you mean 'synthetic'?",
        ),
        (["--methods", "mlp[lrr=2]", "--datasets", "synthetic"], "no parameter of method mlp is named 'lrr'"),
        (["--methods", "mlp[lr=", "--datasets", "synthetic"], "'--methods': 'mlp[lr=' leaves 1 bracket open"),
        (
            ["--methods", "mlp[lr=1e999]", "--datasets", "synthetic"],
            "method mlp: lr is inf; it must be a finite number",
        ),
        (["--methods", f"mlp[lr=1{'0' * 400}]", "--datasets", "synthetic"], "000; it must be a finite number"),
        (["--methods", "mlp", "--datasets", ""], "'--datasets': '' has an empty name; write names separated by commas"),
        (["--methods", "mlp", "--datasets", "synthetic", "--metrics", ""], "'--metrics': '' has an empty name"),
        (["--methods", "mlp", "--datasets", "synthetic", "--scenarios", "holdout,"], "'--scenarios': 'holdout,' has"),
        (["--methods", "mlp", "--datasets", "synthetic", "--executor", ""], "'--executor': '' has an empty name"),
        (
            ["--methods", "mlp", "--datasets", "synthetic", "--group", ""],
            "'--group': '' is empty; give a value, or leave the option out",
        ),
        (["--methods", "mlp", "--datasets", "synthetic", "--group", "race,"], "group 'race,' has an empty name"),
        (["--methods", "mlp", "--datasets", "synthetic", "--plugin", "."], "it is a folder; name a Python file in it"),
        (["--methods", "mlp"], "Give a suite file, or both --methods and --datasets or --data (datasets is missing)"),
        (["none.toml"], "suite none.toml cannot be read"),
        (["--methods", "mlp", "--datasets", "synthetic", "--repeats", "0"], "0 is not in the range x>=1"),
        (["--methods", "mlp", "--datasets", "synthetic", "--executor", "serail"], "did you mean 'serial'?"),
        (["--methods", "mlp", "--datasets", "synthetic", "--plugin", "none.py"], "none.py: no such file"),
        (
            ["--methods", "mlp", "--datasets", "nan_features", "--plugin", str(MISBEHAVING)],
            "feature 'a' is missing (NaN) in 1",
        ),
        (["--methods", "mlp", "--datasets", "one_group", "--plugin", str(MISBEHAVING)], "'sex' has one group, 'f'"),
        (["--methods", "mlp", "--datasets", "one_class", "--plugin", str(MISBEHAVING)], "all 40 labels are 0"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(fairbench, arguments, message):
    status, out, err = fairbench("run", "--workers", "1", *arguments)
    assert status == 2
    assert out == ""
    assert message in err


def test_failures_and_skips_stand_in_the_foot_and_the_rest_runs(fairbench):
    status, out, err = fairbench(
        *("run", "--methods", "constant,raises,refuses", "--datasets", "synthetic[rows=300],one_group,german"),
        *("--repeats", "1", "--offline", "--data-dir", ".", "--plugin", MISBEHAVING, "--out", "r", "--workers", "1"),
    )
    flat = " ".join(out.split())
    assert status == 1
    assert "constant" in out
    assert "ValueError: the matrix is singular" in flat
    assert "needs four groups, there are 2" in flat
    assert "'sex' has one group, 'f'" in flat
    assert "german/german.data: not found" in flat or os.environ.get("FAIRBENCH_DATA")
    assert "one_group is left out" in err


def test_a_share_that_needs_more_protected_rows_than_there_are_names_both_numbers(fairbench):
    status, out, _ = fairbench(
        *(
            "run",
            "--methods",
            "constant,faalgrad[split=proportions,support_share=0.9]",
            "--datasets",
            "synthetic[rows=400]",
        ),
        *("--repeats", "1", "--workers", "1", "--out", "r"),
    )
    flat = " ".join(out.split())
    assert status == 0
    assert "0.9 of 280 training rows needs 252" in flat


@pytest.mark.parametrize("form", ["markdown", "csv", "latex", "terminal", "groups"])
def test_report_prints_each_form(fairbench, form):
    fairbench("run", *GRID, "--out", "r")
    status, out, _ = fairbench("report", "r", "--format", form)
    assert status == 0
    assert "mlp" in out


def test_report_of_what_is_no_run_directory_is_refused(fairbench):
    status, _, err = fairbench("report", ".")
    assert status == 2
    assert "is not a run directory: it has no run.json" in err


def test_export_gives_every_value_as_a_long_row(fairbench):
    fairbench("run", *GRID, "--out", "r")
    rows = list(csv.DictReader(io.StringIO(fairbench("export", "r", "--format", "csv")[1])))
    lines = [json.loads(line) for line in fairbench("export", "r", "--format", "jsonl")[1].splitlines()]
    assert len(rows) == len(lines)
    assert {
        "dataset",
        "method",
        "parameters",
        "repeat",
        "step",
        "point",
        "group",
        "metric",
        "value",
        "status",
        "reason",
        "seconds",
    } <= set(rows[0])
    assert {row["method"] for row in rows} == {"constant", "mlp"}
    accuracy = [line["value"] for line in lines if line["metric"] == "accuracy" and line["group"] == ""]
    assert len(accuracy) == 6
    assert all(0 <= value <= 1 for value in accuracy)


def test_exported_predictions_reproduce_the_accuracy(fairbench):
    fairbench("run", *GRID, "--out", "r")
    values = [json.loads(line) for line in fairbench("export", "r", "--format", "jsonl")[1].splitlines()]
    rows = [json.loads(line) for line in fairbench("export", "r", "--format", "jsonl", "--predictions")[1].splitlines()]
    assert {"y", "group", "y_pred", "y_score", "decision"} <= set(rows[0])
    for value in values:
        if value["metric"] == "accuracy" and value["group"] == "":
            own = [row for row in rows if row["cell"] == value["cell"]]
            assert len(own) == 45
            assert value["value"] == sum(row["y"] == row["y_pred"] for row in own) / 45


def test_exported_diagnostics_are_a_row_for_each_epoch(fairbench):
    fairbench("run", *GRID, "--out", "r")
    rows = list(csv.DictReader(io.StringIO(fairbench("export", "r", "--diagnostics")[1])))
    epochs = {(row["parameters"], row["epoch"]) for row in rows if row["diagnostic"] == "validation_loss"}
    assert len(epochs) == 5  # two epochs and three


def test_rescore_computes_the_stored_values_again(fairbench):
    fairbench("run", *GRID, "--out", "r")
    stored, anew = (list(csv.DictReader(io.StringIO(fairbench(command, "r")[1]))) for command in ("export", "rescore"))
    identity = ("cell", "point", "group", "metric", "value", "reason")

    def table(rows):
        return sorted(tuple(row[name] for name in identity) for row in rows)

    assert table(stored) == table(anew)


def test_list_and_show_tell_what_there_is(fairbench):
    status, out, _ = fairbench("list", "methods", "--json")
    names = [json.loads(line)["name"] for line in out.splitlines()]
    assert status == 0
    assert names == sorted(names)
    assert {"always_0", "always_1", "constant", "faalgrad", "mba_dp", "mba_eod", "mlp", "threshold"} <= set(names)
    _, out, _ = fairbench("show", "method", "faalgrad")
    assert "inner_steps" in out
    assert "fairbench_meta.faalgrad" in out
    _, out, _ = fairbench("show", "method", "faalgrad", "--json")
    assert {row["name"] for row in json.loads(out)["parameters"]} >= {"split", "inner_steps", "inner_lr", "outer_lr"}
    assert all(row["help"] for row in json.loads(out)["parameters"])
    status, _, err = fairbench("show", "method", "falgrad")
    assert status == 2
    assert "did you mean 'faalgrad'?" in err


def test_check_finds_what_breaks_the_rules(fairbench, monkeypatch):
    def audited(methods, plugins):
        assert (methods, plugins) == ("raises,refuses,too_few,global_random,peeks", [str(MISBEHAVING)])
        return [Audited("raises", "runs", "found", "it raises"), Audited("peeks", "watched", "not tried", "")]

    monkeypatch.setattr("fairbench.testing.audit", audited)  # tests/audit has it find things, in processes of its own
    status, out, _ = fairbench("check", MISBEHAVING, "--json")
    findings = {(row["component"], row["check"]): row for row in map(json.loads, out.splitlines())}
    assert status == 1
    assert findings["raises", "method_repeats_itself"]["detail"] == "ValueError: the matrix is singular <b>& more</b>"
    assert "take all randomness from the seed" in findings["global_random", "method_repeats_itself"]["detail"]
    assert findings["refuses", "method_takes_three_groups"]["result"] == "passed"
    assert findings["partial", "function_has_a_docstring"]["detail"] == "the function has no docstring of its own"
    assert findings["nan_metric", "function_has_a_docstring"]["result"] == "passed"
    audits = {key: row["result"] for key, row in findings.items() if key[1].startswith("audit: ")}
    assert audits == {("raises", "audit: runs"): "failed", ("peeks", "audit: watched"): "passed"}


def test_every_report_is_listed_with_words_of_its_own(fairbench):
    rows = {row["name"]: row["what"] for row in map(json.loads, fairbench("list", "reports", "--json")[1].splitlines())}
    assert rows["curves_svg"] == "Return the picture that ``curves`` gives as SVG."
    assert all(rows.values())
    assert not [what for what in rows.values() if "partial" in what]


def test_an_infinite_parameter_of_a_suite_is_refused(fairbench, tmp_path):
    (tmp_path / "s.toml").write_text(
        'datasets = ["synthetic"]\nmethods = ["mlp"]\n[parameters.any.mlp]\nlr = inf\n', encoding="utf-8"
    )
    status, out, err = fairbench("run", "s.toml", "--dry-run")
    assert (status, out) == (2, "")
    assert "suite s.toml: parameters.any.mlp.lr is inf; it must be a finite number" in err


def test_an_unknown_name_mentions_that_plugins_were_left_out(fairbench, monkeypatch):
    assert "FAIRBENCH_PLUGINS" not in fairbench("run", "--methods", "mpl", "--datasets", "synthetic")[2]
    monkeypatch.setenv("FAIRBENCH_PLUGINS", "fairbench_datasets,fairbench_baselines")
    status, _, err = fairbench("run", "--methods", "mlp", "--datasets", "synthetic")
    assert status == 2
    assert "no scenario is named 'holdout' ('fairbench list scenarios' shows all 0); FAIRBENCH_PLUGINS is set" in err


@pytest.mark.long
@pytest.mark.parametrize("lines", [0, 1])
@pytest.mark.parametrize("command", [["run", *GRID[:4], "--repeats", "2000", "--dry-run"], ["list", "methods"]])
def test_a_reader_that_has_seen_enough_is_no_error(command, lines):
    command = [sys.executable, "-m", "fairbench", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(lines):
            assert process.stdout.readline()
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(fairbench, shell):
    status, out, _ = fairbench("completion", shell)
    assert status == 0
    assert "_FAIRBENCH_COMPLETE" in out


@pytest.mark.parametrize(
    ("command", "typed", "offered"),
    [
        (["run", "--methods"], "mlp,faal", ["mlp,faalgrad"]),
        (["run", "--executor"], "ser", ["serial"]),
        (["report", "r", "--format"], "late", ["latex", "latex-column"]),
        (["rescore", "r", "--metrics"], "accuracy,roc", ["accuracy,roc_auc"]),
        (["reproduce", "faalgrad", "--datasets"], "adu", ["adult"]),
        (["show", "method"], "faal", ["faalgrad"]),
        (["show", "dataset"], "a", ["acs", "adult"]),  # but not 'all'
        (["show", "paper"], "faal", ["faalgrad"]),
        (["data", "fetch", "german"], "adu", ["adult"]),
        (["data", "verify"], "adu", ["adult"]),
        (["data", "path"], "adu", ["adult"]),
        (["data", "add"], "adu", ["adult"]),
    ],
)
def test_names_of_components_complete(fairbench, command, typed, offered):
    fairbench("list", "methods")
    found = ShellComplete(cli, {}, "fairbench", "_FAIRBENCH_COMPLETE").get_completions(command, typed)
    assert [item.value for item in found] == offered


def test_a_picture_is_written_beside_the_tables_and_printed_as_bytes(fairbench, tmp_path):
    loop = "seq_class[generations=2,annotator=logistic,population=100]"
    status, _, err = fairbench(
        *("run", "--methods", "constant", "--datasets", "synthetic[rows=300]", "--scenarios", loop),
        *("--repeats", "1", "--workers", "1", "--out", "r"),
    )
    assert status == 0, err
    written = (tmp_path / "r/report.png").read_bytes()
    assert written.startswith(b"\x89PNG")
    assert (tmp_path / "r/report-generations.md").read_text().startswith("# Feedback loops")
    assert CliRunner().invoke(cli, ["report", "r", "--format", "curves"]).stdout_bytes == written


def test_reports_without_anything_to_show_are_not_written(fairbench, tmp_path):
    fairbench("run", *GRID, "--out", "r")
    assert not list((tmp_path / "r").glob("*.png"))
    status, out, err = fairbench("report", "r", "--format", "curves")
    assert (status, out) == (0, "")
    assert "r has nothing for the report 'curves' to show" in err

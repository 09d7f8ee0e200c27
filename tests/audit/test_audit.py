"""Cheaters are planted, one in each file under ``cheaters``: what they know beyond their inputs is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairbench.errors import FairbenchError
from fairbench.testing.audit import verdict
from fairbench.testing.audit.made import make_pair
from fairbench.testing.audit.verdict import CLEAR, FOUND, UNTRIED, AuditFinding, audit, shortened

CHEATERS = Path(__file__).parent / "cheaters"
REPLACING = ("praised", "corrected")  # what measures everybody, so that they are tried alone
SOUND = "sound"
TOGETHER = [path.stem for path in sorted(CHEATERS.glob("*.py")) if path.stem not in REPLACING]
KNOWING = [name for name in TOGETHER if name not in (SOUND, "child", "failing", "published")]
WATCHED = {
    "frames": "callers' variables",
    "inspected": "callers' variables",
    "tracebacks": "other code's variables",
    "threads": "other threads' variables",
    "objects": "all objects",
    "referrers": "who holds an object",
    "files": "opens $FAIRBENCH_DATA/rows_",
    "store": "results.sqlite",
    "arguments": "results.sqlite",
    "child": "starts a process",
    "published": "opens $FAIRBENCH_DATA/compas/",
}


def files(*names):
    return [str(CHEATERS / f"{name}.py") for name in names]


def by_method(findings):
    found = {}
    for finding in shortened(findings):
        found.setdefault(finding.method, {})[finding.tried.lstrip("0123456789 of")] = finding
    return found


@pytest.fixture(scope="module")
def together():
    """Audit the cheaters side by side, which costs two processes in all."""
    return by_method(verdict._together(",".join(TOGETHER), files(*TOGETHER), images=False))


@pytest.mark.parametrize("name", KNOWING)
def test_whoever_knows_test_labels_is_found(together, name):
    found = together[name]
    if "runs" in found:  # what it reaches for is not there any more
        assert found["runs"].result == FOUND
    elif found["test labels redrawn"].result == CLEAR:  # it found no labels, but was seen to look for them
        assert found["watched"].result == FOUND
    else:
        assert found["test labels redrawn"].result == FOUND
        assert "the predictions changed with labels" in found["test labels redrawn"].detail


@pytest.mark.parametrize("name", WATCHED)
def test_what_a_cheater_does_is_named(together, name):
    assert together[name]["watched"].result == FOUND
    assert WATCHED[name] in together[name]["watched"].detail


def test_a_method_that_does_as_it_should_is_clear(together):
    assert {finding.result for finding in together[SOUND].values()} == {CLEAR}
    assert len(together[SOUND]) == 4


def test_a_method_that_fails_is_found_with_its_error(together):
    assert together["failing"]["runs"].result == FOUND
    assert together["failing"]["runs"].detail == "ValueError: the matrix is singular <b>& more</b>"
    assert [together["failing"][tried].result for tried in ("watched", "recorded values")] == [CLEAR, CLEAR]
    assert len(together["failing"]) == 3


def test_memory_over_repeats_is_found_by_the_predictions_alone(together):
    assert together["memory"]["test labels redrawn"].result == FOUND
    assert together["memory"]["watched"].result == CLEAR


@pytest.mark.long
@pytest.mark.parametrize("name", REPLACING)
def test_whoever_replaces_what_measures_it_is_found(name):
    found = by_method(audit(name, files(name)))[name]
    assert "replaces fairbench.running.cell.measure" in found["watched"].detail
    if name == "praised":
        assert "accuracy of praised is recorded as 1.0, but its predictions give" in found["recorded values"].detail
    else:
        assert found["test labels redrawn"].result == FOUND or "runs" in found


@pytest.mark.training
def test_built_in_methods_are_clear_tables_and_images():
    findings = audit("tree,coin,parity_projection[epochs=3],cnn[epochs=1]")
    assert len(findings) == 16
    assert {finding.result for finding in findings} == {CLEAR}


def test_the_command_prints_what_was_found_and_says_so(fairbench, together, monkeypatch):
    asked = scripted(monkeypatch, {("published", False): list(together["published"].values())})
    status, out, _ = fairbench("audit", "published", "--plugin", *files("published"), "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [row["tried"].lstrip("0123456789 of") for row in rows if row["result"] == FOUND] == ["watched"]
    assert {row["method"] for row in rows} == {"published"}
    assert asked == [("published", files("published"), False)]


@pytest.mark.long
def test_a_method_that_is_not_there_is_refused_with_the_words_of_run(fairbench):
    status, _, err = fairbench("audit", "treee")
    assert status == 2
    assert "no method is named 'treee'; did you mean 'tree'?" in err


def test_all_is_no_method():
    with pytest.raises(FairbenchError, match="by name"):
        audit("all")


def test_only_the_labels_of_the_last_test_rows_differ(tmp_path):
    one, two = make_pair(tmp_path, ["compas/file.csv"])
    rows = one.split(1).test.rows
    differ = np.flatnonzero(one.dataset.y != two.dataset.y)
    assert 10 < len(differ) <= len(rows)
    assert set(differ) <= set(rows)
    assert one.dataset.X.equals(two.dataset.X)
    assert len(set(rows) - set(one.split(0).test.rows)) > 40  # most of them train or validate in the first repeat
    assert (tmp_path / "one" / "data" / "compas" / "file.csv").exists()


def test_parameters_are_shown_where_a_method_stands_there_twice():
    once, twice = AuditFinding("a[x=1]", "t", CLEAR, ""), [AuditFinding(f"b[x={x}]", "t", UNTRIED, "") for x in (1, 2)]
    assert [finding.method for finding in shortened([once, *twice])] == ["a", "b[x=1]", "b[x=2]"]


@pytest.mark.long
def test_a_process_that_cannot_begin_says_why(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise OSError('no licence')")
    with pytest.raises(FairbenchError, match="no licence"):
        audit("tree", [str(broken)])


def scripted(monkeypatch, outcomes):
    """Let the processes find what is written for each list of methods; return the lists that were run."""
    runs = []

    def together(methods, plugins, *, images):
        runs.append((methods, list(plugins), images))
        outcome = outcomes[methods, images]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(verdict, "_together", together)
    return runs


def test_methods_are_run_alone_where_one_may_be_blamed_for_another(monkeypatch):
    blamed = [AuditFinding(name, "watched", FOUND, "opens it") for name in ("a", "b")]
    clear = AuditFinding("c", "watched", CLEAR, "")
    alone = {"a": blamed[0], "b": blamed[1]._replace(result=CLEAR)}
    outcomes = {("a,b,c", False): [*blamed, clear], **{(name, False): [finding] for name, finding in alone.items()}}
    runs = scripted(monkeypatch, outcomes)
    assert audit("a,b,c") == [clear, alone["a"], alone["b"]]
    assert len(runs) == 3


def test_a_method_that_only_fails_is_not_run_again(monkeypatch):
    findings = [AuditFinding("a", "runs", FOUND, "ValueError"), AuditFinding("b", "watched", CLEAR, "")]
    runs = scripted(monkeypatch, {("a,b", False): findings})
    assert audit("a,b") == findings
    assert len(runs) == 1


def test_who_refuses_tables_is_asked_about_images(monkeypatch):
    refused = [AuditFinding("a", "runs", UNTRIED, "works on images"), AuditFinding("a", "watched", CLEAR, "")]
    other, seen = AuditFinding("b", "watched", CLEAR, ""), AuditFinding("a", "watched", CLEAR, "images")
    scripted(monkeypatch, {("a,b", False): [*refused, other], ("a", True): [seen]})
    assert audit("a,b") == [other, seen]


def test_a_method_that_ends_the_process_is_found_and_harms_no_other(monkeypatch):
    died, fine = verdict.ProcessDied("its process ended with status -9"), AuditFinding("b", "watched", CLEAR, "")
    scripted(monkeypatch, {("a,b", False): died, ("a", False): died, ("b", False): [fine]})
    assert audit("a,b") == [AuditFinding("a", "runs", FOUND, "its process ended with status -9"), fine]

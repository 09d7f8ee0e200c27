"""The store: what goes in comes out, nothing is lost, and trouble is explained."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairbench.cells import Cell, Choice
from fairbench.data.rows import Predictions
from fairbench.errors import StoreError
from fairbench.records import DONE, FAILED, SKIPPED, UNKNOWN, Parts, Record, Value
from fairbench.running.layout import Body, CellRow, PredictionRow, digest, text_id, unpack
from fairbench.running.oldstore import prediction_digest, value_digest
from fairbench.running.packing import pack, rows_of
from fairbench.running.store import FILE_NAME, FORMAT, Measured, Store, Truth, Unstorable, run_folder
from fairbench.running.storefile import readable

TRUTH = Truth(np.array([0, 1, 1]), np.array([0, 0, 1]), ("female", "male"))


def cell(repeat=0, method="mlp"):
    return Cell(Choice("compas"), Choice(method, {"hidden": [8], "lr": 0.1}), "race", repeat, metrics=("accuracy",))


def measured(repeat=0, status=DONE, value=0.5, predictions=None):
    values = (
        Value(0, "", "", "accuracy", value),
        Value(0, "", "female", "true_positive_rate", None, "no row with y = 1"),
    )
    record = Record(
        cell(repeat),
        status,
        "" if status == DONE else "why",
        values,
        "",
        {"loss": (1.0, 0.5)},
        1.5,
        1.2,
        {"fairbench-harness": "0.1.0"},
        Parts(6, 2, 3, UNKNOWN),
        ((0, ""),),
        ("a remark",),
    )
    return Measured(
        record, {(0, ""): (TRUTH, predictions or Predictions(np.array([0, 1, 0]), np.array([0.1, 0.9, 1 / 3])))}
    )


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "results.sqlite", create=True) as opened:
        yield opened


def test_a_record_comes_back_as_it_went_in(store):
    original = measured()
    store.add(original)
    (back,) = store.records()
    assert back == original.record
    assert back.cell.method.params == {"hidden": [8], "lr": 0.1}
    assert (back.parts, back.alike, back.remarks) == (Parts(6, 2, 3, UNKNOWN), ((0, ""),), ("a remark",))


def test_all_that_a_metric_may_read_but_the_features_comes_back(store):
    keys = {"state": np.array(["x", "yyy", "\ud800"]), "year": np.array([2.5, -1.0, 7.0]), "in": np.array([True, 0, 1])}
    rows = np.array([17, 4, 2**40])
    truth = Truth(TRUTH.y, TRUTH.group, ("f", "m\ud800"), 1, 0, ("age", "zip"), (1, 2, 1), keys, rows)
    (made,) = [made for _, made in measured().predictions.values()]
    store.add(Measured(measured().record, {(0, ""): (truth, made)}))
    back, _ = store.predictions(cell().key)[0, ""]
    assert back.key == truth.key
    assert back.about == truth.about
    assert back.rows.tolist() == rows.tolist()
    assert {name: values.tolist() for name, values in back.keys.items()} == {
        name: values.tolist() for name, values in keys.items()
    }


def test_an_outline_has_metrics_and_versions_without_the_values(store):
    store.add(measured())
    store.add(measured(1, FAILED))
    versions = {"fairbench-harness": "0.1.0"}
    found = store.outline()
    assert {key: one[:3] for key, one in found.items()} == {
        cell(0).key: (DONE, ("accuracy",), versions),
        cell(1).key: (FAILED, ("accuracy",), versions),
    }
    for number, status in ((0, DONE), (1, FAILED)):
        record, one = measured(number, status).record, found[cell(number).key]
        assert (one.seconds, one.parts) == (record.seconds, record.parts)
        assert one.cell.frame == cell(number).frame


def test_what_was_measured_comes_back_to_be_stored_with_more(store):
    store.add(measured())
    store.add(measured(1))
    back = store.measured(cell().key)
    assert back.record == measured().record
    more = (*back.record.values, Value(0, "", "", "n", 3.0))
    store.add(Measured(replace(back.record, values=more), back.predictions))
    again = store.measured(cell().key)
    assert set(again.record.values) == set(more)
    assert again.predictions[0, ""][1].y_score.tolist() == [0.1, 0.9, 1 / 3]
    assert len(store.records()) == 2


def test_a_cell_that_is_not_there_is_no_empty_one(store):
    with pytest.raises(StoreError, match="holds no cell of key nobody"):
        store.predictions("nobody")


def test_zero_has_no_sign_and_texts_may_hold_anything(store):
    values = (Value(np.int64(0), "p\0q", "", "accuracy", -0.0, "caf\udce9"), Value(1, "é", "", "n", None, "\0"))
    store.add(Measured(replace(measured().record, values=values, reason="\ud800"), {}))
    (back,) = store.records()
    assert str(back.values[0].value) == "0.0"
    assert [value[1] for value in back.values] == ["p\0q", "é"]
    assert (back.values[0].reason, back.values[1].reason, back.reason) == ("caf\\udce9", "\0", "\\ud800")


def changed(**fields):
    return Measured(replace(measured().record, **fields), {})


SAME = Value(0, "", "", "accuracy", 1.0)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (changed(values=(Value(0, "", "", "accuracy", float("inf")),)), "accuracy is inf; a value that is not finite"),
        (changed(values=(Value(0, "", "", "accuracy", float("nan")),)), "accuracy is nan; "),
        (changed(values=(SAME, SAME)), "step 0, point '' has two values of accuracy"),
        (
            changed(values=(SAME, SAME._replace(metric="n"), SAME)),
            "step 0, point '' has two values of accuracy; give each its own name",
        ),
        (changed(values=(Value(2**70, "", "", "accuracy", 1.0),)), "too large a step"),
        (changed(values=(Value(2**63, "", "", "accuracy", 1.0),)), "^9223372036854775808 is too large a step for the"),
        (changed(values=(Value(-(2**63) - 1, "", "", "accuracy", 1.0),)), "^-9223372036854775809 is too large a step"),
        (changed(values=(Value(0.5, "", "", "accuracy", 1.0),)), "the record cannot be stored: TypeError: .*float"),
        (changed(values=(Value(0, "", 1, "accuracy", 1.0),)), "name of a group is 1, of type int; it must be a string"),
        (changed(values=(Value(0, "", "", 1, 1.0),)), "name of a metric is 1, of type int"),
        (
            changed(values=(Value(0, "a" * 79 + "\ud800", "", "n", 1.0),)),
            f"name of a point is '{'a' * 79}, which is not ",
        ),
        (changed(values=(Value(0, [1] * 50, "", "n", 1.0),)), rf"name of a point is \[{'1, ' * 26}1, of type list"),
        (changed(status=None), "name of a status is None"),
        (changed(alike=((0, 3),)), "name of a point is 3"),
        (changed(alike=((2**63, ""),)), "too large a step"),
        (changed(supports=((3, 1),)), "name of a group is 3"),
        (changed(parts=Parts(2**63, 1, 1)), "too large a step"),
        (changed(values=(Value(0, ("a", 1), "", "accuracy", 1.0),)), r"name of a point is \('a', 1\), of type tuple"),
        (changed(values=(Value(0, None, "", "accuracy", 1.0),)), "name of a point is None"),
        (changed(values=(Value(0, "\ud800", "", "accuracy", 1.0),)), r"name of a point is '\\ud800', .*rename it"),
        (changed(chosen=3), "name of a point is 3, of type int"),
        (changed(diagnostics={3: (1.0,)}), "name of a diagnostic is 3"),
        (changed(diagnostics={"loss": (float("inf"),)}), "the record cannot be stored: ValueError"),
        (changed(diagnostics={"loss": (object(),)}), "the record cannot be stored: TypeError"),
        (Measured(measured().record, {(0, 3): measured().predictions[0, ""]}), "name of a point is 3"),
        (
            Measured(
                measured().record, {(0, ""): (replace(TRUTH, keys={3: TRUTH.y}), measured().predictions[0, ""][1])}
            ),
            "name of a key is 3",
        ),
        *(
            (
                Measured(measured().record, {(0, ""): (replace(TRUTH, **names), measured().predictions[0, ""][1])}),
                f"name of a {what} is 3",
            )
            for what, names in (("group", {"group_names": (3,)}), ("feature", {"feature_names": (3,)}))
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_and_no_damage(store, bad, words):
    store.add(measured(1))
    with pytest.raises(Unstorable, match=words):
        store.add(bad)
    store.add(measured(2))
    assert [record.cell.repeat for record in store.records([cell(1).key])] == [1, 2]


def test_predictions_come_back_to_the_last_bit(store):
    decision = np.array([0.25, 1.0, 1 / 3])
    for repeat, predictions in enumerate(
        [
            Predictions(np.array([0, 1, 0]), np.array([0.1, 0.9, 1 / 3])),
            Predictions(np.array([0, 1, 0]), None, decision),
        ]
    ):
        store.add(measured(repeat, predictions=predictions))
        truth, back = store.predictions(cell(repeat).key)[0, ""]
        assert truth.y.tolist() == [0, 1, 1]
        assert [truth.group_names[code] for code in truth.group] == ["female", "female", "male"]
        assert back.y_pred.tobytes() == predictions.y_pred.tobytes()
        assert back.decision.tobytes() == predictions.decision.tobytes()
        assert (back.y_score is None) == (predictions.y_score is None)
        assert back.y_score is None or back.y_score.tobytes() == predictions.y_score.tobytes()


def test_steps_may_be_as_large_as_the_files_integers_and_come_in_order(store):
    steps = (2**63 - 1, 0, -(2**63))
    truth, made = measured().predictions[0, ""]
    points = {(step, point): (truth, made) for step in steps for point in "ba"}
    store.add(Measured(replace(measured().record, values=[Value(step, "", "", "n", 1.0) for step in steps]), points))
    (back,) = store.records()
    assert [value.step for value in back.values] == sorted(steps)
    assert list(store.predictions(cell().key)) == sorted(points)


# what stands in stores that users have: another digest, and they all are damaged


def test_digests_are_those_of_stores_that_were_written_before():
    assert digest(["é", 1, 0.5, None], (b"\0", None)) == "248e95a38314756ec05ddae83e7b99e5"
    row = PredictionRow("key", 0, "point", "truth", 1, "", b"\0", b"\1", None)
    assert row.taken() == "db21d63b9cf5d4898f9bc076ffd7f655"
    assert value_digest([(0, "", "", "accuracy", 0.5, "")]) == "34e74bf3e6b092bc1189932d1088836e"
    assert prediction_digest([(0, "", "d")]) == "42c7f2e02a22d458f7a7ad3fb03fd6ec"
    cell = CellRow("k", b"f", 1, 2, 3, "done", "r", "é", 0.5, 0.25, b"a", b"b", b"")
    assert cell.taken().hex() == "84b1e80a4975bb762554b7261d583adb"
    assert Body(b"s", b"n", "r", "{}", "[]", 1).taken().hex() == "52bacc120d6ecbab4ab06171ffc4045e"
    assert text_id("é").hex() == "d4b1b0202b21bb84e60a3d272ecab0db"


def test_test_parts_that_the_store_has_are_not_packed_again():
    (truth, _) = measured().predictions[0, ""]
    assert [row.key for row in rows_of(measured()).truths] == [truth.key]
    assert rows_of(measured(), {truth.key}).truths == []
    assert len(rows_of(measured(), {"another"}).truths) == 1


def test_equal_test_parts_are_stored_once(store):
    for repeat in range(3):
        store.add(measured(repeat))
    assert store._connection.execute("SELECT count(*) FROM truths").fetchone() == (1,)


def test_a_test_part_is_written_after_a_cell_that_could_not_be(store):
    store._connection.execute("CREATE TRIGGER full BEFORE INSERT ON cells BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(StoreError):
        store.add(measured())
    store._connection.execute("DROP TRIGGER full")
    for repeat in range(2):
        store.add(measured(repeat))
        assert store.predictions(cell(repeat).key)


def test_only_done_cells_are_finished(store):
    for repeat, status in enumerate([DONE, SKIPPED, FAILED]):
        store.add(measured(repeat, status))
    assert store.finished() == {cell(0).key}


def test_a_second_record_of_a_cell_replaces_the_first(store):
    store.add(measured(status=FAILED))
    store.add(measured(value=0.75))
    (back,) = store.records()
    assert (back.status, back.values[0].value) == (DONE, 0.75)


def test_records_come_in_the_order_of_the_plan(store):
    keys = [cell(repeat).key for repeat in (2, 0, 1)]
    for repeat in range(3):
        store.add(measured(repeat))
    assert [record.cell.repeat for record in store.records(keys)] == [2, 0, 1]


def test_each_cell_comes_with_its_own_test_part(store):
    labels = [[0, 1, 1], [1, 1, 0], [0, 0, 1]]
    (_, made) = measured().predictions[0, ""]
    for repeat, y in enumerate(labels):
        store.add(Measured(measured(repeat).record, {(0, ""): (replace(TRUTH, y=np.array(y)), made)}))
    for _ in range(2):
        assert [store.predictions(cell(repeat).key)[0, ""][0].y.tolist() for repeat in range(3)] == labels
        assert [store.measured(cell(repeat).key).record.cell.repeat for repeat in range(3)] == [0, 1, 2]


def test_records_that_the_plan_does_not_name_come_after_it_by_key(store):
    keys = [cell(repeat).key for repeat in range(4)]
    for repeat in range(4):
        store.add(measured(repeat))
    assert [record.cell.key for record in store.records()] == sorted(keys)
    assert [record.cell.key for record in store.records(["nobody", keys[3]])] == [keys[3], *sorted(keys[:3])]


def test_a_full_disk_is_explained_and_keeps_what_was_written(store):
    store.add(measured(0))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Predictions(np.zeros(200_000, int), np.random.default_rng(0).random(200_000))
    with pytest.raises(
        StoreError, match=r"results.sqlite cannot be written: .*full; finished cells are kept; free some space"
    ):
        store.add(measured(1, predictions=big))
    assert [record.cell.repeat for record in store.records()] == [0]


def test_a_missing_store_is_explained(tmp_path):
    with pytest.raises(StoreError, match="does not exist; 'fairbench run' makes run directories"):
        Store(tmp_path / "results.sqlite")


def test_a_store_that_was_only_begun_is_explained(tmp_path):
    (tmp_path / "results.sqlite").touch()
    with pytest.raises(StoreError, match="holds nothing yet"):
        Store(tmp_path / "results.sqlite")
    Store(tmp_path / "results.sqlite", create=True).close()
    with Store(tmp_path / "results.sqlite") as store:
        assert store.records() == []


def test_a_file_that_is_no_store_is_explained(tmp_path):
    path = tmp_path / "results.sqlite"
    path.write_text("not a database, but long enough to be taken for one " * 50)
    with pytest.raises(StoreError, match="is not a fairbench store or is damaged"):
        Store(path, create=True)


def test_a_run_of_an_older_format_is_not_continued(tmp_path):
    path = Path(shutil.copy(Path(__file__).parent / "old_run" / FILE_NAME, tmp_path))
    words = r"was started by an older fairbench \(format 1\), whose runs can be read but not continued; begin a new run"
    with pytest.raises(StoreError, match=words):
        Store(path, create=True)
    with Store(path) as store:
        assert len(store.records()) == 4


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("database or disk is full", "free some space and run the same command again"),
        ("attempt to write a readonly database", "choose another run directory with --out"),
        ("unable to open database file", "choose another run directory with --out"),
        ("database is locked", "another run is writing to it; wait for it, or choose another with --out"),
        ("disk I/O error", "free some space or choose another --out"),
    ],
)
def test_each_trouble_of_writing_comes_with_its_advice(store, monkeypatch, error, advice):
    def fail(rows):
        raise sqlite3.OperationalError(error)

    monkeypatch.setattr(store, "_write", fail)
    with pytest.raises(StoreError) as raised:
        store.add(measured())
    assert str(raised.value) == f"{store.path} cannot be written: {error}; finished cells are kept; {advice}"
    monkeypatch.undo()
    store.add(measured())


def test_a_folder_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(StoreError, match=r"cannot be written: unable to open .*; choose another run directory"):
        Store(tmp_path / "none" / FILE_NAME, create=True)


def test_what_a_reader_meets_is_explained(store):
    for error, words in (
        (sqlite3.OperationalError("database is locked"), "cannot be read: another run is writing to it; try again"),
        (
            sqlite3.OperationalError("disk I/O error"),
            "is not a fairbench store or is damaged: disk I/O error; put",
        ),
        (ValueError("locked"), "is not a fairbench store or is damaged: locked; put back a sound copy of the file"),
        (OSError("no such device"), "cannot be read: no such device"),
    ):
        with pytest.raises(StoreError) as raised, readable(store.path):
            raise error
        assert str(raised.value).startswith(f"{store.path} {words}")


def test_the_path_of_a_store_stands_for_its_folder(tmp_path):
    assert run_folder(tmp_path / FILE_NAME) == tmp_path
    assert run_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / FILE_NAME).mkdir()  # somebody's run directory
    assert run_folder(tmp_path / FILE_NAME) == tmp_path / FILE_NAME


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "results.sqlite"
    Store(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(StoreError, match=f"has format {FORMAT + 1}, this fairbench reads format {FORMAT}"):
        Store(path)


def test_a_reader_does_not_write(tmp_path):
    path = tmp_path / "results.sqlite"
    Store(path, create=True).close()
    with Store(path) as reader, pytest.raises(StoreError, match="readonly"):
        reader.add(measured())


def test_cells_that_wait_are_written_together_and_of_a_cell_that_waits_twice_the_last_stays(store):
    for repeat, value in ((0, 0.25), (1, 0.5), (0, 0.75), (1, 1.0), (2, 0.0)):  # the first is written alone
        slow = measured(repeat, value=value)
        store.add(replace(slow, record=replace(slow.record, seconds=0.001)))
    assert store.waits
    found = {record.cell.repeat: record.values[0].value for record in store.records()}
    assert found == {0: 0.75, 1: 1.0, 2: 0.0}
    assert all(store.predictions(cell(repeat).key) for repeat in range(3))


@pytest.mark.parametrize("size", [0, 1, 63, 1000])
def test_noise_is_kept_as_it_is_and_what_can_be_packed_is_packed(size):
    draw = np.random.default_rng(0).random(size)
    for array, packed in (
        (draw, False),
        (draw.astype("f4").astype("f8"), True),
        (draw.round(1), True),
        (np.tile(draw[:5], size // 5), True),
    ):
        blob = pack(array, "<f8")
        assert unpack(blob, "<f8", len(array)).tolist() == array.tolist()
        if size > 9:
            assert (len(blob) < 0.9 * array.nbytes) == packed
            assert packed or len(blob) < array.nbytes + 20

"""The store: what goes in comes out, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from stored_cells import TRUTH, cell, measured

from fairbench.data.rows import Predictions
from fairbench.errors import StoreError
from fairbench.records import DONE, FAILED, SKIPPED, UNKNOWN, Parts, Value
from fairbench.running.layout import Body, CellRow, PredictionRow, digest, text_id, unpack
from fairbench.running.oldstore import prediction_digest, value_digest
from fairbench.running.packing import pack, rows_of
from fairbench.running.store import FILE_NAME, Measured, Store, Truth, run_folder


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


def test_the_path_of_a_store_stands_for_its_folder(tmp_path):
    assert run_folder(tmp_path / FILE_NAME) == tmp_path
    assert run_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / FILE_NAME).mkdir()  # somebody's run directory
    assert run_folder(tmp_path / FILE_NAME) == tmp_path / FILE_NAME


def test_cells_that_wait_are_written_together_and_of_a_cell_that_waits_twice_the_last_stays(store, monkeypatch):
    monkeypatch.setattr("fairbench.running.store.time", SimpleNamespace(monotonic=lambda: 1000.0))
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

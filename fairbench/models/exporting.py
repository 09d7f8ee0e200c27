"""A cell of a run fitted again and written as a model, once it is known to predict what the run stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairbench.cells import Cell
from fairbench.choices import parse_choices, stands_for
from fairbench.data.encoding import Encoding
from fairbench.data.preparation import group_codes, split_rows
from fairbench.data.rows import Dataset, Predictions, Split
from fairbench.errors import CannotExport, DataError, SuiteError
from fairbench.models.files import SCHEMA, Written, read, write
from fairbench.models.loaded import LoadedModel, predictor_of
from fairbench.notation import split_outside
from fairbench.plugins.components import Fitted
from fairbench.plugins.exported import Exported
from fairbench.plugins.group_use import PREDICTION, group_use
from fairbench.running.grid import gather
from fairbench.running.references import HOLDOUT
from fairbench.running.runfile import read_run
from fairbench.running.session import Session
from fairbench.running.store import FILE_NAME, Measured, Store, run_folder
from fairbench.system.generators import generators_kept, seed_generators
from fairbench.system.isolation import process_state_kept
from fairbench.system.threads import one_thread

CANDIDATES = 12  # that a message lists
SHORT = 8  # digits of a key


def chosen_cell(path: Path, text: str) -> Cell:
    """Return the finished cell that a text stands for.

    Args:
        path: the run directory.
        text: the beginning of its key, or ``method/dataset/repeat``, from which parts can be left out at the end:
            ``threshold[lr=0.01]/compas/0``.

    Raises:
        SuiteError: none is meant, or several are; the message lists them.
        StoreError: the run cannot be read.
    """
    with Store(run_folder(path) / FILE_NAME) as store:
        done = store.finished()
        cells = [record.cell for record in store.records() if record.cell.key in done]
    found = [cell for cell in cells if cell.key.startswith(text)] if text else []
    found = found or [cell for cell in cells if _meant(text, cell)]
    if len(found) == 1:
        return found[0]
    listed = found or cells
    more = f"; and {len(listed) - CANDIDATES} more" if len(listed) > CANDIDATES else ""
    shown = "; ".join(map(_shown, listed[:CANDIDATES])) + more
    if not cells:
        raise SuiteError(f"no cell of {path} is done, so there is no model")
    what = f"{len(found)} finished cells are" if found else "no finished cell is"
    raise SuiteError(f"{what} {text!r} in {path}; give a key, or method/dataset/repeat: {shown}")


def _shown(cell: Cell) -> str:
    tuned = f", tuning {cell.tuning}, fit {cell.fit}" if cell.tuning or cell.fit else ""
    return f"{cell.key[:SHORT]} {cell.method.name}/{cell.dataset}/{cell.repeat} by {cell.group}{tuned}"


def _meant(text: str, cell: Cell) -> bool:
    method, *rest = split_outside(text, "/")
    if len(rest) > 2 or (len(rest) == 2 and rest[1] != str(cell.repeat)):
        return False
    pairs = [(method, cell.method), *zip(rest[:1], [cell.dataset])]
    return all(any(stands_for(choice, own) for choice in parse_choices(part)) for part, own in pairs)


def export_model(path: Path, cell: Cell, session: Session, folder: Path) -> LoadedModel:
    """Fit a cell again, compare its test predictions with the stored ones, write the model and read it back.

    Args:
        path: the run directory, which is only read.
        cell: a finished one.
        session: plugins and data.
        folder: a new one.

    Raises:
        CannotExport: the method cannot be exported, or what is fitted or read back predicts something else.
        DataError: the data are not available.
    """
    path = run_folder(path)
    run = read_run(path)
    with Store(path / FILE_NAME) as store:
        stored = store.measured(cell.key)
    if cell.scenario.name != HOLDOUT:
        raise CannotExport(f"a cell of scenario {cell.scenario.name} is no single model; only those of {HOLDOUT} are")
    available = gather([cell], session.runner)
    lacking = [*available.failed.values(), *available.skipped.values()]
    if lacking:
        raise DataError("; ".join(lacking))
    workbench = session.runner.workbench
    dataset, split = workbench.dataset(cell.dataset), workbench.split(cell)
    if isinstance(dataset.X, np.ndarray):
        raise CannotExport(f"{cell.dataset} holds images; only models of tables can be exported")
    exported = _fitted_again(session, cell, split, stored)
    about = _about(session, cell, dataset, stored, run)
    kept = Written({"schema": SCHEMA, **about}, exported)
    LoadedModel(kept, predictor_of(kept, session.settings.plugins, folder), folder)  # before anything is written
    write(folder, about, exported)
    read_back = read(folder)
    model = LoadedModel(read_back, predictor_of(read_back, session.settings.plugins, folder), folder)
    test = split.test
    rows = np.arange(len(dataset.y)) if test.rows is None else test.rows
    groups = [test.group_names[code] for code in test.group]
    _compare(model.predict(dataset.X.iloc[rows], groups), _expected(stored), "the model that was read back")
    return model


def _fitted_again(session: Session, cell: Cell, split: Split, stored: Measured) -> Exported:
    """Return what the fitted predictor learned, if it predicts what is stored."""
    who = f"method {cell.method.name} cannot be exported"
    method = session.registry.method(cell.method, cell.preparation)
    with one_thread(), generators_kept(), process_state_kept():
        seed_generators(cell.seed("global"))
        fitted = Fitted.of(method.fit(split.train, split.validation, seed=cell.seed("fit")))
        predictor = fitted.points.get(stored.record.chosen)
        if predictor is None:
            raise CannotExport(f"{who}: fitted again, it has no operating point {stored.record.chosen!r}")
        _compare(predictor(split.test.inputs), _expected(stored), "the cell fitted again")
    export = getattr(predictor, "export", None)  # it may be wrapped, so that its class need not have it
    if not callable(export):
        raise CannotExport(f"{who}: what it fits has no export(), so it cannot say what it learned")
    try:
        learned: Exported = export()
        return learned
    except CannotExport as error:
        raise CannotExport(f"{who}: {error}") from error


def _expected(stored: Measured) -> Predictions:
    return stored.predictions[0, stored.record.chosen][1]


def _compare(made: Predictions, expected: Predictions, who: str) -> None:
    """Refuse predictions that are not the stored ones, to the last bit."""
    pairs = [(made.y_pred, expected.y_pred), (made.decision, expected.decision)]
    if (made.y_score is None) != (expected.y_score is None):
        raise CannotExport(f"{who} {'has no' if made.y_score is None else 'has'} scores, unlike the run")
    if made.y_score is not None and expected.y_score is not None:
        pairs.append((made.y_score, expected.y_score))
    unequal = max(int((one != other).sum()) if len(one) == len(other) else len(other) for one, other in pairs)
    if unequal:
        raise CannotExport(
            f"{who} predicts {unequal} of {len(expected.y_pred)} test rows otherwise than the run; "
            "'fairbench verify RUN' says which versions, code or data have changed"
        )


def _about(session: Session, cell: Cell, dataset: Dataset, stored: Measured, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that JSON holds of a model beside what it learned."""
    attributes = cell.group.split(",")
    carried = {column for attribute in attributes for column in dataset.sensitive_columns.get(attribute, ())}
    features: Any = dataset.X  # a table
    table = features.drop(columns=[column for column in features.columns if column in carried])
    codes, names, protected = group_codes(dataset, attributes)
    learned, *_ = split_rows(
        dataset,
        codes,
        seed=cell.seed("split"),
        preparation=cell.preparation,
        validation_seed=cell.validation_seed,
    )
    encoding = Encoding.learn(table, learned, cell.preparation.scale, complete=True)
    uses = group_use(session.registry.method(cell.method))
    known = cell.preparation.group_at_prediction
    return {
        "method": cell.method.name,
        "parameters": dict(cell.method.params),
        "cell": {
            "key": cell.key,
            "dataset": str(cell.dataset),
            "repeat": cell.repeat,
            "tuning": cell.tuning,
            "fit": cell.fit,
        },
        "operating_point": stored.record.chosen,
        "features": encoding.plain(),
        "favorable_label": dataset.favorable_label,
        "groups": {
            "attributes": attributes,
            "names": list(names),
            "protected": protected,
            "as_feature": cell.preparation.sensitive_as_feature,
            "at_prediction": known and (uses is None or PREDICTION in uses),
        },
        "provenance": {
            "versions": dict(stored.record.versions),
            "fairbench": run.get("fairbench"),
            "data_digest": run.get("datasets", {}).get(str(cell.dataset)),
            "code": run.get("components", {}),
        },
    }

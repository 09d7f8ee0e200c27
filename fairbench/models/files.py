"""The files of a written model: ``model.json``, and arrays (safetensors) or an estimator (skops) beside it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairbench.errors import CannotExport
from fairbench.plugins.exported import Exported
from fairbench.system.writing import replace_file
from fairbench.texts import last_line

SCHEMA, VERSION = "fairbench-model", 1
ABOUT, ARRAYS, SKOPS = "model.json", "model.safetensors", "model.skops"
LARGEST_TEXT, LARGEST = 64 * 2**20, 2**32  # bytes of model.json, and of a file beside it
TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Parts of scikit-learn's classifiers that skops does not know; they only hold numbers and compute with them."""


class Written(NamedTuple):
    """What the files hold: ``about`` as ``model.json`` has it, and what the predictor learned."""

    about: Mapping[str, Any]
    exported: Exported


def write(folder: Path, about: Mapping[str, Any], exported: Exported) -> None:
    """Write a model.

    Args:
        folder: is made; it must not hold a file yet.
        about: all that JSON can hold beside what the predictor learned.
        exported: what it learned.

    Raises:
        CannotExport: a library is missing, the folder is in use, or the model cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CannotExport(f"{folder} is not empty; name a new folder")
        files = {}
        if exported.arrays:
            files[ARRAYS] = _arrays_as_bytes(exported.arrays)
        if exported.estimator is not None:
            files[SKOPS] = _estimator_as_bytes(exported.estimator)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        learned = {"form": exported.form, "about": exported.about, "files": digests}
        text = json.dumps(
            {"schema": SCHEMA, "version": VERSION, **about, "learned": learned}, allow_nan=False, indent=1
        )
        for name, content in {**files, ABOUT: text.encode()}.items():
            replace_file(folder / name, content)
    except (OSError, TypeError, ValueError) as error:
        raise CannotExport(f"the model cannot be written to {folder}: {error}") from error


def read(folder: Path) -> Written:
    """Read a model; nothing of it is run.

    Raises:
        CannotExport: a file is missing or damaged, or holds what no model of fairbench holds.
    """
    path = folder / ABOUT
    about = _json(path)
    try:
        if about["schema"] != SCHEMA or about["version"] != VERSION:
            raise CannotExport(
                f"{path} is {about['schema']!r}, version {about['version']!r}; this fairbench reads {SCHEMA!r}, "
                f"version {VERSION}"
            )
        learned = about["learned"]
        form, own, files = learned["form"], learned["about"], learned["files"]
        if not isinstance(form, str) or not isinstance(own, dict) or not set(files) <= {ARRAYS, SKOPS}:
            raise ValueError("'learned' is not as it is written")
        found = {name: _checked(folder / name, digest) for name, digest in files.items()}
    except CannotExport:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotExport(f"{path} is no written model: {type(error).__name__}: {error}") from error
    arrays = _arrays_of(folder / ARRAYS, found[ARRAYS]) if ARRAYS in found else {}
    estimator = _estimator_of(folder / SKOPS, found[SKOPS]) if SKOPS in found else None
    return Written(about, Exported(form, own, arrays, estimator))


def _json(path: Path) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise ValueError(f"{name} is no number")

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text)

    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise CannotExport(f"{path} is larger than {LARGEST_TEXT >> 20} MiB, so it is no written model")
        found = json.loads(path.read_bytes(), parse_constant=refuse, parse_float=number)
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    except OSError as error:
        raise CannotExport(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CannotExport(f"{path} is no written model: {error}") from error
    return found


def _checked(path: Path, digest: Any) -> bytes:
    """Return a file's content, if it is what ``model.json`` says."""
    try:
        if path.stat().st_size > LARGEST:
            raise CannotExport(f"{path} is larger than {LARGEST >> 30} GiB, so it is no written model")
        content = path.read_bytes()
    except OSError as error:
        raise CannotExport(f"{path} cannot be read: {error.strerror or error}") from error
    seen = hashlib.sha256(content).hexdigest()
    if seen != digest:
        raise CannotExport(
            f"{path} is damaged or was changed: its sha256 is {seen[:12]}…, expected {str(digest)[:12]}…"
        )
    return content


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise CannotExport(
            f"models need the package {package!r}: install the extra models (pip install 'fairbench-harness[models]')"
        ) from error


def _arrays_as_bytes(arrays: Mapping[str, Any]) -> bytes:
    import numpy as np

    content: bytes = _library("safetensors.numpy").save(
        {name: np.ascontiguousarray(one) for name, one in arrays.items()}
    )
    return content


def _arrays_of(path: Path, content: bytes) -> dict[str, Any]:
    load = _library("safetensors.numpy").load
    try:
        return dict(load(content))
    except Exception as error:  # the library has an error of its own, and others for hostile headers
        raise CannotExport(f"{path} holds no arrays: {last_line(str(error))}") from error


def _estimator_as_bytes(estimator: Any) -> bytes:
    content: bytes = _library("skops.io").dumps(estimator)
    _estimator_of(Path(SKOPS), content)
    return content


def _estimator_of(path: Path, content: bytes) -> Any:
    skops = _library("skops.io")
    try:
        unknown = sorted({*skops.get_untrusted_types(data=content)} - {*TRUSTED})
        if unknown:
            raise CannotExport(f"{path} holds {unknown[0]}, which is not among what a written model may hold")
        estimator = skops.loads(content, trusted=list(TRUSTED))
        _check_trees(estimator)
        return estimator
    except CannotExport:
        raise
    except Exception as error:  # a damaged archive can raise anything
        raise CannotExport(f"{path} holds no estimator: {type(error).__name__}: {last_line(str(error))}") from error


def _check_trees(estimator: Any) -> None:
    """Refuse trees of gradient boosting that lead elsewhere than down: scikit-learn follows them without looking.

    Raises:
        ValueError: a node has no such child or feature.
    """
    import numpy as np

    for tree in (tree for trees in getattr(estimator, "_predictors", ()) for tree in trees):
        nodes, place = tree.nodes, np.arange(len(tree.nodes))
        inner = nodes["is_leaf"] == 0
        below = all(((nodes[side] > place) & (nodes[side] < len(nodes)))[inner].all() for side in ("left", "right"))
        known = (nodes["feature_idx"][inner] >= 0) & (nodes["feature_idx"][inner] < estimator.n_features_in_)
        if not len(nodes) or not below or not known.all() or nodes["is_categorical"][inner].any():
            raise ValueError("a tree has a node whose child or feature does not exist")

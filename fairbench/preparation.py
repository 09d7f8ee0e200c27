"""Deprecated: ``split_dataset`` is in ``fairbench.data.preparation``; this module goes with version 0.2."""

import warnings

from fairbench.data.preparation import split_dataset

__all__ = ["split_dataset"]

warnings.warn(
    "fairbench.preparation is deprecated and goes with version 0.2; use fairbench.data.preparation instead",
    DeprecationWarning,
    stacklevel=2,
)

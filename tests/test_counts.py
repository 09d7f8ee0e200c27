"""Counts by group; the rates are held against fairlearn in tests/plugins."""

from __future__ import annotations

import numpy as np

from fairbench.data.counts import supports


def test_supports_name_groups_without_rows_too():
    assert supports(np.array([2, 0, 2]), ("a", "b", "c")) == (("a", 1), ("b", 0), ("c", 2))
    assert supports(np.array([], dtype=int), ("a", "b")) == (("a", 0), ("b", 0))

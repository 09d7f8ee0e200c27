"""A file with decisions about people, and its audit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent))  # the tests are imported by path, which leaves their folder out


@pytest.fixture
def table(tmp_path):
    """A file with 900 decisions about three races and two sexes; its columns as a table."""
    random = np.random.default_rng(3)
    n = 900
    sex, race = random.choice(["f", "m"], n, p=[0.4, 0.6]), random.choice(["a", "b", "c"], n, p=[0.6, 0.39, 0.01])
    y = random.random(n) < np.where(sex == "f", 0.4, 0.6)
    score = np.clip(0.35 * y + 0.1 * (sex == "m") + random.normal(0.3, 0.2, n), 0, 1).round(4)
    made = pd.DataFrame({"sex": sex, "race": race, "y": y.astype(int), "p": (score > 0.5).astype(int), "s": score})
    made["q"] = (random.random(n) < 0.3 + 0.4 * y).astype(int)
    made.to_csv(tmp_path / "p.csv", index=False)
    return made

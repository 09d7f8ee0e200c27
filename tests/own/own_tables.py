"""A table of loans as its owner has it, and what is said of it on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd

SAID = ("--label", "paid", "--group", "sex")
LEAN = ",".join(f"fairbench_{kind}" for kind in ("baselines", "executors", "metrics", "reports", "scenarios"))
QUICK = ("--methods", "constant,logistic", "--repeats", "1", "--metrics", "accuracy,selection_rate")


def people(n=240, seed=0):
    """Return a table of loans: numbers, categories, dates, identifiers, missing values, a label and two attributes."""
    draw = np.random.default_rng(seed)
    income = draw.normal(30, 8, n).round(2)
    return pd.DataFrame(
        {
            "id": np.arange(n) + 7,
            "date": pd.date_range("2020-01-01", periods=n).strftime("%d.%m.%Y"),
            "sex": draw.choice(["female", "male"], n),
            "age": draw.integers(18, 80, n),
            "income": income,
            "purpose": draw.choice(["car", "house", "école"], n),
            "zip": draw.integers(100, 130, n),
            "paid": np.where(income + draw.normal(0, 8, n) > 30, "yes", "no"),
        }
    )

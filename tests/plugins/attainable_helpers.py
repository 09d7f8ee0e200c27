"""What the tests of the attainable line share."""

from __future__ import annotations

import numpy as np

from fairbench.api import Predictions, Samples, group_rates


def joined(*parts: Samples) -> Samples:
    """Return the rows of all parts."""
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "group", "y"))
    X, group, y = columns
    return Samples(X, group, parts[0].schema, y)


def measured(samples: Samples, predictions: Predictions, constraint: str) -> tuple[float, float]:
    """Return accuracy and gap, over groups that have rows."""
    rates = group_rates(samples, predictions)
    some = rates.n > 0
    kinds = {"dp": ["selection"], "eopp": ["true_positive"], "eo": ["true_positive", "false_positive"]}[constraint]
    gap = max(np.ptp(getattr(rates, kind)[some]) for kind in kinds)
    return float((rates.accuracy * rates.n)[some].sum() / rates.n.sum()), float(gap)

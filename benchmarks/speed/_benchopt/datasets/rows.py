"""As many rows as a test part of harness.py has; each seed is a cell."""

import os

import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """Labels and groups at random."""

    name = "rows"
    parameters = {"seed": list(range(int(os.environ["CELLS"])))}  # noqa: RUF012 - benchopt reads it from the class

    def get_data(self):
        """Return the rows."""
        draw = np.random.default_rng(self.seed)
        return {"y": draw.integers(0, 2, 750), "group": draw.integers(0, 2, 750)}

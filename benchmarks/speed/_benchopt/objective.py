"""What is measured: accuracy, and the gap in selection rate."""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """Two numbers of the decisions."""

    name = "decisions"
    sampling_strategy = "run_once"

    def set_data(self, y, group):
        """Keep the rows."""
        self.y, self.group = y, group

    def get_objective(self):
        """Return what a solver sees."""
        return {"y": self.y}

    def evaluate_result(self, y_pred):
        """Return the numbers."""
        rates = [y_pred[self.group == code].mean() for code in (0, 1)]
        return {"value": 1 - (y_pred == self.y).mean(), "gap": abs(rates[0] - rates[1])}

    def get_one_result(self):
        """Return a result for benchopt's own check."""
        return {"y_pred": np.zeros(len(self.y))}

"""A plugin with a dataset that can be had until it cannot."""

from __future__ import annotations

PEOPLE = '''"""A dataset that can leave."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fairbench.api import DataError, Dataset, NotApplicable, hookimpl


@dataclass(frozen=True)
class People:
    """Forty people."""

    name = "people"
    files = ()
    sensitive_features = ("sex",)

    def load(self, files):
        if LEFT:
            raise ERROR("the people have left")
        rows = np.arange(40)
        sex = pd.DataFrame({"sex": ["f", "m"] * 20})
        return Dataset("people", pd.DataFrame({"x": rows / 40}), rows // 2 % 2, sex, {"sex": "f"})


@hookimpl
def fairbench_datasets():
    return [People]
'''


def people(left: str, error: str = "NotApplicable") -> str:
    """Return the plugin's source: the dataset ``people`` is gone, with this error, where the condition is true."""
    return PEOPLE.replace("LEFT", left).replace("ERROR", error)

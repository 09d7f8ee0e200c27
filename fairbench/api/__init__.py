"""All that a plugin may import; ``fairbench.api.torch`` holds what needs torch and higher.

``API_VERSION`` rises when working plugins must change.
"""

from fairbench.cells import Cell, Choice, Record, Value
from fairbench.components import (
    Archive,
    DataFile,
    DatasetSpec,
    Evidence,
    Executor,
    Fitted,
    Method,
    Metric,
    Outcome,
    Paper,
    Predictor,
    Report,
    Scenario,
    parameter,
)
from fairbench.counts import GroupRates, group_rates
from fairbench.data import Dataset, Episode, Inputs, Predictions, Samples, Schema, Split
from fairbench.errors import DataError, NotApplicable, Undefined
from fairbench.hooks import hookimpl
from fairbench.results import Results
from fairbench.seeding import seed

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "Archive",
    "Cell",
    "Choice",
    "DataError",
    "DataFile",
    "Dataset",
    "DatasetSpec",
    "Episode",
    "Evidence",
    "Executor",
    "Fitted",
    "GroupRates",
    "Inputs",
    "Method",
    "Metric",
    "NotApplicable",
    "Outcome",
    "Paper",
    "Predictions",
    "Predictor",
    "Record",
    "Report",
    "Results",
    "Samples",
    "Scenario",
    "Schema",
    "Split",
    "Undefined",
    "Value",
    "group_rates",
    "hookimpl",
    "parameter",
    "seed",
]

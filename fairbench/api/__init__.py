"""All that a plugin may import; ``fairbench.api.torch`` holds what needs torch and higher.

``API_VERSION`` rises when working plugins must change.
"""

from fairbench.cells import Cell, Choice
from fairbench.data.alike import NEARLY, common_chance, decides_alike, side_of_rates
from fairbench.data.counts import GroupRates, group_rates
from fairbench.data.rows import (
    Dataset,
    Episode,
    Inputs,
    Predictions,
    Samples,
    Schema,
    Split,
    images_only,
    tables_only,
)
from fairbench.data.sources import Archive, DataFile, Wheel
from fairbench.errors import DataError, NotApplicable, SuiteError, Undefined
from fairbench.plugins.components import (
    Arrays,
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
    Resumable,
    Scenario,
    parameter,
)
from fairbench.plugins.hooks import hookimpl
from fairbench.plugins.parameters import build_choice
from fairbench.records import Parts, Record, Results, Value, compares_groups, no_rows
from fairbench.seeding import derive_seed
from fairbench.texts import escape_markdown, last_line

API_VERSION = 1

__all__ = [
    "API_VERSION",
    "NEARLY",
    "Archive",
    "Arrays",
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
    "Parts",
    "Predictions",
    "Predictor",
    "Record",
    "Report",
    "Resumable",
    "Results",
    "Samples",
    "Scenario",
    "Schema",
    "Split",
    "SuiteError",
    "Undefined",
    "Value",
    "Wheel",
    "build_choice",
    "common_chance",
    "compares_groups",
    "decides_alike",
    "escape_markdown",
    "group_rates",
    "hookimpl",
    "images_only",
    "last_line",
    "no_rows",
    "parameter",
    "derive_seed",
    "side_of_rates",
    "tables_only",
]

"""Everything that a plugin may import; ``fairbench.api.torch`` contains what needs torch and higher.

Reports and tests of papers read a run with ``fairbench.api.analysis``; pre- and post-processing is built on the models
in ``fairbench.api.base_models``.

``API_VERSION`` rises when working plugins must change. A plugin can declare the version that it was written for with
``FAIRBENCH_API = 1`` in its module or package; a plugin written for a newer fairbench is then left out with advice.
"""

from fairbench.api.estimators import fit_estimator, from_estimator, needs, predictor_of
from fairbench.cells import Cell, Choice
from fairbench.data.alike import NEARLY, common_chance, decides_alike, side_of_rates
from fairbench.data.counts import GroupRates, group_rates
from fairbench.data.rows import (
    UNKNOWN_GROUP,
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
from fairbench.data.selection import SEEN_ROWS, SEEN_SELECTED, Chosen, Judged, Rule
from fairbench.data.sources import Archive, DataFile, Wheel
from fairbench.data.withheld import known_rows
from fairbench.errors import CannotExport, DataError, GroupWithheld, NotApplicable, SuiteError, Undefined
from fairbench.plugins.components import (
    Arrays,
    DatasetSpec,
    Evidence,
    Fitted,
    Method,
    Metric,
    Outcome,
    Paper,
    Predictor,
    Reference,
    Referenced,
    Report,
    Resumable,
    Scenario,
    Tunable,
    parameter,
)
from fairbench.plugins.executing import NO_LIMITS, RAISED, RETURNED, Ended, Executor, Limits
from fairbench.plugins.exported import ESTIMATOR, ExportablePredictor, Exported
from fairbench.plugins.group_use import UsesGroup
from fairbench.plugins.hooks import hookimpl
from fairbench.plugins.parameters import build_choice
from fairbench.plugins.ranges import Options, Range, Searchable, Stackable
from fairbench.records import (
    CRASHED,
    FAILURES,
    OUT_OF_MEMORY,
    TIMED_OUT,
    Partial,
    Parts,
    Record,
    Results,
    Value,
    compares_groups,
    no_rows,
)
from fairbench.seeding import derive_seed
from fairbench.texts import counted, error_line, escape_markdown, last_line
from fairbench.version import API_VERSION

__all__ = [
    "API_VERSION",
    "CRASHED",
    "ESTIMATOR",
    "FAILURES",
    "NEARLY",
    "NO_LIMITS",
    "OUT_OF_MEMORY",
    "RAISED",
    "RETURNED",
    "SEEN_ROWS",
    "SEEN_SELECTED",
    "TIMED_OUT",
    "UNKNOWN_GROUP",
    "Archive",
    "Arrays",
    "CannotExport",
    "Cell",
    "Choice",
    "Chosen",
    "DataError",
    "DataFile",
    "Dataset",
    "DatasetSpec",
    "Ended",
    "Episode",
    "Evidence",
    "Executor",
    "ExportablePredictor",
    "Exported",
    "Fitted",
    "GroupRates",
    "GroupWithheld",
    "Inputs",
    "Judged",
    "Limits",
    "Method",
    "Metric",
    "NotApplicable",
    "Options",
    "Outcome",
    "Paper",
    "Partial",
    "Parts",
    "Predictions",
    "Predictor",
    "Range",
    "Record",
    "Reference",
    "Referenced",
    "Report",
    "Resumable",
    "Results",
    "Rule",
    "Samples",
    "Scenario",
    "Schema",
    "Searchable",
    "Split",
    "Stackable",
    "SuiteError",
    "Tunable",
    "Undefined",
    "UsesGroup",
    "Value",
    "Wheel",
    "build_choice",
    "common_chance",
    "compares_groups",
    "counted",
    "decides_alike",
    "error_line",
    "escape_markdown",
    "fit_estimator",
    "from_estimator",
    "group_rates",
    "hookimpl",
    "images_only",
    "known_rows",
    "last_line",
    "needs",
    "no_rows",
    "parameter",
    "predictor_of",
    "derive_seed",
    "side_of_rates",
    "tables_only",
]

"""What a plugin can supply: protocols, and the small records that components and the harness exchange."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Optional,
    Protocol,
    Union,
    runtime_checkable,
)

from numpy.typing import NDArray

from fairbench.data.rows import Dataset, Inputs, Predictions, Samples, Split

if TYPE_CHECKING:
    from pathlib import Path

    from fairbench.data.sources import DataFile
    from fairbench.records import Record, Results

Predictor = Callable[[Inputs], Predictions]
"""What a fit learns: X and group of any rows -> predictions for the same rows; the labels are out of reach."""

Arrays = Mapping[str, NDArray[Any]]
"""NumPy arrays by name: the state that a scenario keeps between steps."""

BETTER = ("higher", "lower", "neither")


def parameter(
    default: Any,
    help: str,  # noqa: A002 - the word that users of dataclasses and click expect
    *,
    source: str = "",
    choices: Optional[Sequence[Any]] = None,
    minimum: Optional[float] = None,
    maximum: Optional[float] = None,
) -> Any:
    """Declare a hyper-parameter of a component: a dataclass field with its meaning and the values that it accepts.

    Args:
        default: the default value; with ``dataclasses.MISSING`` the user must give one.
        help: one line, shown by ``fairbench show``.
        source: where the default comes from, e.g. a paper's section.
        choices: the only values allowed.
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
    """
    limits = {"choices": choices, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata={"help": help, "source": source, **limits})


@dataclass(frozen=True)
class Fitted:
    """What ``fit`` can return instead of one predictor: operating points, and curves recorded during training.

    Args:
        points: a predictor for each operating point, by its name (e.g. ``threshold=0.3``).
        chosen: the point that stands for the method, picked on the validation part.
        diagnostics: a value for each epoch or round, by name.
    """

    points: Mapping[str, Predictor]
    chosen: str
    diagnostics: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the chosen point is one of them."""
        if self.chosen not in self.points:
            raise ValueError(f"the chosen operating point {self.chosen!r} is not among {list(self.points)}")

    @classmethod
    def of(cls, fitted: Union[Predictor, Fitted]) -> Fitted:
        """Return ``fitted``, the result of ``fit``, as a Fitted; a plain predictor is its only point, named ``""``."""
        return fitted if isinstance(fitted, Fitted) else cls({"": fitted}, "")


class Method(Protocol):
    """A frozen dataclass of hyper-parameters that can be fitted; the fitted model is in what ``fit`` returns.

    A method that nobody would deploy, but that others are compared with (a constant, a coin), can declare
    ``is_reference = True`` in its class: a run keeps the names of such methods (``Results.run["reference_methods"]``),
    so that reports can distinguish their rows or lines. A method with a ``grid`` is ``Tunable``; it says where it uses
    the group of a row as in ``UsesGroup``.
    """

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    def fit(self, train: Samples, validation: Samples, *, seed: int) -> Union[Predictor, Fitted]:
        """Return what was learned from train and chosen on validation; all randomness comes from seed.

        Raises:
            NotApplicable: the method cannot be used on such data; the cell is skipped with the reason.
        """
        ...


@runtime_checkable
class Tunable(Protocol):
    """What a method also declares if it names the configurations that a scenario such as ``tuned`` can try.

    ``grid`` is a class attribute that gives each configuration as the parameters that it changes: ``({"depth": 3},
    {"depth": 5})``. Names and values are checked when the plugin is loaded; no configuration can appear twice.
    """

    grid: ClassVar[Sequence[Mapping[str, Any]]]


class DatasetSpec(Protocol):
    """A frozen dataclass of loader parameters.

    ``files`` and ``sensitive_features`` are read from the dataset after it is built with its parameters and before
    anything runs: make them class attributes if they are always the same, and properties or fields if they depend on a
    parameter, such as a table that the user names. They can raise ``DataError``. A dataset that takes hours, or needs a
    folder that only the user knows, can declare ``only_by_name = True``: then ``all`` leaves it out. It can also say in
    a few words under which terms the data may be used, ``licence = "CC BY 4.0"``; ``fairbench show dataset`` shows it.
    """

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    @property
    def files(self) -> Sequence[DataFile]:
        """The raw files, which are found or downloaded and then verified before ``load``; empty if it needs none."""
        ...

    @property
    def sensitive_features(self) -> Sequence[str]:
        """The columns of the table ``sensitive_features`` of the loaded dataset, the default group first."""
        ...

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Return the table (or images) read from the verified files, given by their ``DataFile.path``.

        Raises:
            NotApplicable: it is not available here, e.g. without a folder that only the user can name.
            DataError: the content of a file is not as required.
        """
        ...


@dataclass(frozen=True)
class Reference:
    """A point that a dataset knows without any run, such as the values of the best possible classifier.

    Args:
        name: what reaches it, as the subject of a sentence: ``the Bayes-optimal classifier that sees x and the group``.
        values: finite values by metric name, as fractions like the metrics' own values.
        note: how to read the values, in a few words; can be empty.
    """

    name: str
    values: Mapping[str, float]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that it can be kept and shown."""
        if not self.name.strip() or not self.values:
            raise ValueError(f"reference {self.name!r} with values {self.values!r}: give a name and at least one value")
        for metric, value in self.values.items():
            if not isinstance(metric, str) or not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(f"reference {self.name!r}: {metric!r} is {value!r}; it must be a finite number")


@runtime_checkable
class Referenced(Protocol):
    """What a dataset also offers if it knows reference points; a run keeps them, and tables show them."""

    def references(self) -> Sequence[Reference]:
        """Return the points; called once for each run, after the dataset has been loaded."""
        ...


@dataclass(frozen=True)
class Metric:
    """A number computed from test samples and predictions.

    Args:
        name: as in the tables, e.g. ``demographic_parity_difference``.
        function: (Samples, Predictions) -> float, ``Partial`` over fewer groups; raises ``Undefined`` if there is none.
        better: ``higher``, ``lower`` or ``neither`` (a count or a rate).
        range: the smallest and the largest possible value.
        reference: the paper or library whose definition this is.
        by_group: compute it within each group as well.
        label: a short heading for tables.
    """

    name: str
    function: Callable[[Samples, Predictions], float]
    better: str = "higher"
    range: tuple[float, float] = (0.0, 1.0)
    reference: str = ""
    by_group: bool = False
    label: str = ""

    def __call__(self, samples: Samples, predictions: Predictions) -> float:
        """Return the value."""
        return self.function(samples, predictions)


@dataclass(frozen=True)
class Outcome:
    """What a scenario yields to be measured at one step (a generation; holdout has one).

    Args:
        samples: the rows on which the metrics are computed.
        predictions: predictions for those rows, by operating point; none if the step only saves its ``state``.
        chosen: the point that represents the method.
        step: a number that rises from outcome to outcome with predictions.
        diagnostics: curves recorded on the way, by name.
        values: numbers that no metric can compute from samples and predictions, by name; they are stored beside the
            metrics' values at the chosen point, for all rows together.
        state: everything that ``Resumable.resume`` needs to continue after this step, as plain arrays; None if it
            cannot continue there.
    """

    samples: Samples
    predictions: Mapping[str, Predictions]
    chosen: str
    step: int = 0
    diagnostics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    state: Optional[Arrays] = None


class Scenario(Protocol):
    """A frozen dataclass: what a cell does between the split and the values."""

    @property
    def name(self) -> str:
        """Its name in suites and on the command line; in the class, a plain ``name = "..."``."""
        ...

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterable[Outcome]:
        """Yield an outcome for each step of fitting the method to the split.

        Args:
            split: the same for every method.
            method: the method, which the scenario can fit any number of times.
            seed: purpose -> this cell's seed for it, e.g. ``seed("fit")``.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """What a scenario with many long steps also offers, so that a killed run continues after its last finished step."""

    def resume(
        self, split: Split, method: Method, seed: Callable[[str], int], step: int, state: Arrays
    ) -> Iterable[Outcome]:
        """Yield the outcomes that ``run`` yields after ``step``, bit for bit; ``state`` is the state of that step.

        The arguments split, method and seed are those of ``run``.
        """
        ...


@dataclass(frozen=True)
class Report:
    """A way to show results.

    Args:
        name: as in ``--format``.
        suffix: suffix of its file, e.g. ``.md`` for ``report.md``; empty for a report that is only printed.
        render: Results -> text, or the bytes of an image; empty if there is nothing to show. It can raise
            ``NotApplicable`` if a library that it needs is missing.
        figure: of a picture, (Results, metric) -> a figure of matplotlib, which Python users get; else None.
    """

    name: str
    suffix: str
    render: Callable[[Results], Union[str, bytes]]
    figure: Optional[Callable[[Results, str], Any]] = None


@dataclass(frozen=True)
class Evidence:
    """The result of a paper's own test of a claim on one dataset, shown in the document of its reproduction.

    Args:
        verdict: the result in a few words.
        reading: how the test was made and how to read it; each item is a paragraph of plain text.
        tables: tables by title; each row gives its texts by heading, and all rows have the same headings.
    """

    verdict: str
    reading: Sequence[str] = ()
    tables: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Paper:
    """What a paper reports, and how it is rerun; ``fairbench reproduce`` shows the two side by side.

    Args:
        name: as on the command line, e.g. ``faalgrad``.
        title: the paper's title.
        reference: who published it, and where.
        directory: folder of the plugin's package with ``published.toml`` (the numbers and claims), suites, and
            optionally ``rerun.toml`` (protocols and figures).
        tests: by name, tests of claims that cannot be judged by a difference between two rows. Each gets the finished
            records of the claim's table on one dataset, under one protocol, and raises ``Undefined`` if they do not
            suffice.
    """

    name: str
    title: str
    reference: str
    directory: Path
    tests: Mapping[str, Callable[[Sequence[Record]], Evidence]] = field(default_factory=dict)

"""The parameters that the three scenarios share, and how a scenario becomes a lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable, ClassVar

from fairbench.api import Arrays, Method, NotApplicable, Outcome, Split, SuiteError, build_choice, parameter

from ._annotators import ANNOTATORS, Annotator
from ._conv_vae import ConvVAE
from ._gaussian_mixture import GaussianMixture
from ._generators import Generator
from ._lineage import Lineage
from ._star import REFILLS, uniform
from ._tabular_vae import TabularVAE

CODE = "Wyllie, Shumailov & Papernot (2024), authors' code"
METHOD = "method"  # of annotator: the method itself
GENERATORS: Mapping[str, type[Any]] = {cls.name: cls for cls in (GaussianMixture, ConvVAE, TabularVAE)}


@dataclass(frozen=True)
class Loop:
    """What the three settings have in common."""

    sequential: ClassVar[bool]  # whether C_t is trained on labels of C_(t-1); otherwise on those of A_L
    retrains: ClassVar[bool]  # whether generators are retrained too; otherwise G_0 is used throughout

    generations: int = parameter(10, "number of classifiers C_0, C_1, ...; 1 means no loop", minimum=1)
    reparation: str = parameter("none", "whose training rows STAR curates", source=CODE, choices=("none", "classifier"))
    budget: float = parameter(
        0.25, "rows that STAR draws beyond a batch, as a share of it", source=CODE, minimum=1e-6, maximum=100
    )
    batch: int = parameter(
        0, "rows of a STAR batch, and of a mixture; 0 for all training rows at once", source=f"{CODE}: 256", minimum=0
    )
    refill: str = parameter("random", "what fills the places that a quota leaves open", source=CODE, choices=REFILLS)
    ideal: tuple[float, ...] = parameter(
        (), "share of each stratum (label 0 first, within it the groups); none for equal ones", minimum=0, maximum=1
    )
    passes: float = parameter(
        1.0, "synthetic training rows of a classifier, as a multiple of the real ones", minimum=1e-6
    )
    classifier_share: float = parameter(
        1.0, "share of synthetic rows among a classifier's training rows; the rest are real", minimum=0, maximum=1
    )
    natural_labels: str = parameter(
        "recorded", "labels of those real rows: their own, or the labeller's", choices=("recorded", "labeller")
    )
    natural_sampling: str = parameter(
        "uniform",
        "how those real rows are drawn; disparate: by the last classifier's accuracy on their stratum",
        choices=("uniform", "disparate"),
    )
    generator: str = parameter("gaussian_mixture", f"one of {', '.join(GENERATORS)}, with its parameters in brackets")
    generate_group: bool = parameter(
        False, "let the generator of a table generate the group too, instead of asking the group annotator"
    )
    annotator: str = parameter(
        "mlp", f"A_L, trained on real labels: {', '.join(ANNOTATORS)} with parameters in brackets, or {METHOD}"
    )
    group_annotator: str = parameter(
        "logistic", f"A_S, trained on real groups: {', '.join(ANNOTATORS)} with parameters in brackets"
    )
    annotator_floor: float = parameter(
        0.5,
        "accuracy that A_L must reach in each group on validation; it is fitted up to 5 times",
        minimum=0,
        maximum=1,
    )
    validation: str = parameter(
        "synthetic",
        "the method's validation part: rows made like its training rows, or the real validation rows, which anchor it",
        choices=("synthetic", "real"),
    )
    population: int = parameter(2000, "samples of each generator whose composition is recorded", minimum=1)

    @property
    def synthetic_share(self) -> float:
        """Return the share of synthetic rows that generators train on; a parameter where they are trained again."""
        return 1.0

    def __post_init__(self) -> None:
        """Refuse names and values that cannot work in any run.

        Raises:
            UnknownName, SuiteError: a generator or an annotator is unknown; the ideal is not a distribution.
        """
        self.build_generator()
        self.build_annotators()
        if self.ideal and (len(self.ideal) % 2 or abs(sum(self.ideal) - 1) > 1e-6):
            raise SuiteError(
                f"ideal has length {len(self.ideal)} and sum {sum(self.ideal):g}; it needs a share for each label and "
                "group, summing to 1"
            )

    def build_generator(self) -> Generator:
        """Return the named generator."""
        generator: Generator = build_choice(self.generator, GENERATORS, "generator")
        return generator

    def build_annotators(self) -> tuple[Annotator | None, Annotator]:
        """Return A_L (None stands for the method itself) and A_S, yet to be trained."""
        label = None if self.annotator == METHOD else build_choice(self.annotator, ANNOTATORS, "annotator")
        return label, build_choice(self.group_annotator, ANNOTATORS, "group_annotator")

    def ideal_of(self, n_groups: int) -> tuple[float, ...]:
        """Return the share (K,) that each stratum should have.

        Raises:
            NotApplicable: the given ideal has a different number of strata from the data.
        """
        if self.ideal and len(self.ideal) != 2 * n_groups:
            raise NotApplicable(
                f"ideal has length {len(self.ideal)}; 2 labels and {n_groups} groups need {2 * n_groups}"
            )
        return self.ideal or uniform(2 * n_groups)

    def run(self, split: Split, method: Method, seed: Callable[[str], int]) -> Iterator[Outcome]:
        """Yield an outcome for each generation: its classifier on the original test part."""
        return Lineage(self, split, method, seed).outcomes()

    def resume(
        self, split: Split, method: Method, seed: Callable[[str], int], step: int, state: Arrays
    ) -> Iterator[Outcome]:
        """Yield the outcomes after a generation.

        The state is the rows that its models were trained on; training is repeated, which restores the models to the
        last bit, whatever they are.
        """
        return Lineage(self, split, method, seed).outcomes(step, state)

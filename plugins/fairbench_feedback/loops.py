"""The three feedback loops: labels alone, samples and labels, samples alone.

Generation t trains a classifier C_t on samples of a generator G_t that an earlier model has labelled. Two annotators
are trained once on real rows and then frozen: A_L for labels, A_S for groups. Classifiers are always measured on the
original test part, against its true labels and groups. Real rows enter the annotators, G_0 and what a share below 1
mixes in, and nothing else: a method chooses on rows made like its training rows, unless ``validation`` is real. With
several operating points the chosen one is measured, and labels the rows of the next generation.

What is recorded for each generation besides the metrics (a value that does not exist is null):

- ``population_*``: composition of a fresh sample of G_t, labelled by A_L (in ``seq_class`` by the labeller of C_t) and
  grouped by A_S: ``_kl`` to the ideal in nats, ``_share[y=0,female]`` and so on, ``_favourable_share``,
  ``_protected_share``; ``annotator_confidence[...]``.
- ``training_*``: composition of C_t's training rows. ``generator_training_*``: of G_t's, labelled by C_(t-1).
- ``deficit_share``, ``pool_share[...]`` and the same with ``generator_``: what STAR could not fill, and what it drew.
- ``validation_*``: rates on the real validation part; ``decorrelated_*``: on the test part as if label and group were
  independent; ``annotator_*``, ``group_annotator_accuracy``: of the annotators, at step 0.
- ``generator_loss``; ``degenerate``: 1 if C_t is a constant because its training rows had one label; ``refused``: 1 if
  the method refused its training rows and C_(t-1) stays in use; ``lost_strata``: strata without a training row.

A stratum that dies out does not end the loop: STAR's refill takes its places, a classifier whose training rows have one
label becomes that constant, and where the method itself refuses the rows the last classifier stays.

Wyllie, Shumailov and Papernot (2024), Fairness feedback loops: training on synthetic data amplifies bias, FAccT; the
settings are named as there. STAR on data sets instead of batches, mixing real rows into classifiers' training rows and
``natural_sampling`` are readings of our own where the authors' code is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairbench.api import Scenario, hookimpl, parameter

from ._loop import CODE, Loop


@dataclass(frozen=True)
class SeqClass(Loop):
    """Classifiers label for their successors, on samples of one generator: label drift alone."""

    name = "seq_class"
    sequential: ClassVar[bool] = True
    retrains: ClassVar[bool] = False


@dataclass(frozen=True)
class _Generations(Loop):
    """Settings in which G_t is trained on samples of G_(t-1)."""

    retrains: ClassVar[bool] = True
    reparation: str = parameter(
        "none", "whose training rows STAR curates", source=CODE, choices=("none", "classifier", "generator", "both")
    )
    synthetic_share: float = parameter(
        1.0, "share of samples of G_(t-1) among the training rows of G_t; the rest are real", minimum=0, maximum=1
    )


@dataclass(frozen=True)
class SeqGenSeqClass(_Generations):
    """Generators learn from their predecessors' samples, and classifiers label for their successors."""

    name = "seq_gen_seq_class"
    sequential: ClassVar[bool] = True


@dataclass(frozen=True)
class SeqGenNonSeqClass(_Generations):
    """Generators learn from their predecessors' samples; every classifier is labelled by the first annotator."""

    name = "seq_gen_nonseq_class"
    sequential: ClassVar[bool] = False


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Return the three settings."""
    return [SeqClass, SeqGenSeqClass, SeqGenNonSeqClass]

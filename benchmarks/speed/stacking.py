"""Settings of FaAlGrad and of the meta-learners trained together, as one computation, against one after another.

The settings differ in their learning rates; all run the same number of epochs, so that both ways do the same work.
FaAlGrad's time is that of a setting's epoch, without what a fit costs before its first epoch; a meta-learner's is that
of a setting's whole fit, with its evaluations on the validation part, which are not stacked. Scores of the two ways are
compared on the validation part, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from _timing import Row, Times, spent
from fairbench_meta._learner import MetaLearner
from fairbench_meta.faalgrad import FaAlGrad
from fairbench_meta.fair_maml import FairMAML
from fairbench_meta.ffml import FFML
from fairbench_meta.m_ftml import MaskedFTML
from fairbench_meta.pdfm import PrimalDualFairMeta
from methods import samples

from fairbench.api import Fitted, Samples

SHAPES = {
    "compas": (4320, 926, 7, (8,), "relu"),
    "german": (700, 150, 57, (8,), "relu"),
    "communities": (1395, 299, 97, (8,), "tanh"),
    "adult": (31655, 6783, 100, (8, 8), "relu"),
}


def seconds(fit: Callable[[int], Sequence[Fitted]], epochs: int) -> tuple[float, Sequence[Fitted]]:
    """Return the CPU time of an epoch, by the difference between a short and a long fit, and the long one's results."""
    ends: list[Sequence[Fitted]] = []
    fit(2)  # to warm up
    short, long = (spent(lambda count=count: ends.append(fit(count))) for count in (2, 2 + epochs))
    return (long - short) / epochs, ends[-1]


def compare(
    train: Samples, validation: Samples, base: FaAlGrad, members: int, epochs: int
) -> tuple[float, float, float]:
    """Return seconds of a setting's epoch, single and together, and how far apart the scores are at the end."""
    rates = np.geomspace(1e-4, 1e-2, members).tolist()

    def settings(count: int) -> list[FaAlGrad]:
        return [replace(base, epochs=count, inner_lr=lr, outer_lr=lr) for lr in rates]

    def single(count: int) -> Sequence[Fitted]:
        return [setting.fit(train, validation, seed=0) for setting in settings(count)]

    def together(count: int) -> Sequence[Fitted]:
        return base.fit_together(settings(count), train, validation, seed=0)

    (slow, alone), (fast, stacked) = seconds(single, epochs), seconds(together, epochs)
    scores = [[fit.points[""](validation.inputs).y_score for fit in fits] for fits in (alone, stacked)]
    return slow / members, fast / members, float(np.abs(np.subtract(*scores)).max())


def learners(quick: bool) -> dict[str, MetaLearner]:
    """Return each meta-learner with 8 tasks and 80 outer steps, by name."""
    if quick:
        return {"fair_maml": FairMAML(task_count=8, iterations=10)}
    return {
        "fair_maml": FairMAML(task_count=8, iterations=80),
        "m_ftml": MaskedFTML(task_count=8, meta_steps=10),
        "ffml": FFML(task_count=8, meta_steps=10),
        "pdfm": PrimalDualFairMeta(task_count=8, iterations=80),
    }


def of_learners(quick: bool) -> Iterator[Row]:
    """Time fits of each meta-learner."""
    for shape in ("compas",) if quick else ("compas", "adult"):
        n, n_validation, d, hidden, _ = SHAPES[shape]
        train, validation = samples(n, d, 0), samples(n_validation, d, 1)
        for name, base in learners(quick).items():
            rates = np.geomspace(1e-4, 1e-2, 3 if quick else 8).tolist()
            settings = [replace(base, hidden=hidden, outer_lr=lr, patience=10**6) for lr in rates]
            ends: list[Sequence[Fitted]] = []
            slow = spent(partial(kept, ends, partial(one_by_one, settings, train, validation)))
            fast = spent(partial(kept, ends, partial(base.fit_together, settings, train, validation, seed=0)))
            scores = [[fit.points[fit.chosen](validation.inputs).y_score for fit in fits] for fits in ends]
            times = [Times(each / len(settings), each / len(settings)) for each in (fast, slow)]
            note = f"scores are {np.abs(np.subtract(*scores)).max():.0e} apart"
            beside = {"other": times[1], "against": "one after another", "note": note}
            yield times[0].row(f"{len(settings)} settings of {name} as {shape}", **beside)


def one_by_one(settings: Sequence[MetaLearner], train: Samples, validation: Samples) -> list[Fitted]:
    """Return the fits of the settings, one after another."""
    return [one.fit(train, validation, seed=0) for one in settings]


def kept(ends: list[Sequence[Fitted]], fit: Callable[[], Sequence[Fitted]]) -> None:
    """Append what is fitted."""
    ends.append(fit())


def measure(quick: bool) -> Iterator[Row]:
    """Time an epoch of settings of each shape, with one inner step and with ten, and fits of the meta-learners."""
    yield from of_learners(quick)
    epochs = 2 if quick else 6
    for shape in ("compas",) if quick else SHAPES:
        n, n_validation, d, hidden, activation = SHAPES[shape]
        train, validation = samples(n, d, 0), samples(n_validation, d, 1)
        for steps in (1, 10):
            base = FaAlGrad(inner_steps=steps, hidden=hidden, activation=activation, patience=10**6)
            for members in (5,) if quick else (5, 20):
                single, together, far = compare(train, validation, base, members, epochs)
                name = f"{members} settings as {shape}, {steps} inner step{'s' if steps > 1 else ''}"
                beside = Times(single, single)
                note = f"scores are {far:.0e} apart"
                yield Times(together, together).row(name, other=beside, against="one after another", note=note)

"""Settings of FaAlGrad trained together, as one computation, against one after another.

    python benchmarks/speed/stacking.py [--members 5,20] [--epochs 20]

The settings differ in their learning rates; all run the same number of epochs, so that both ways do the same work. CPU
milliseconds for a setting's epoch on one thread, without what a fit costs before its first epoch. ``apart`` is the
largest difference between the two ways in any score of the validation part at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from fairbench_meta.faalgrad import FaAlGrad
from methods import samples

from fairbench.api import Fitted, Samples

SHAPES = {
    "compas": (4320, 926, 7, (8,), "relu"),
    "german": (700, 150, 57, (8,), "relu"),
    "communities": (1395, 299, 97, (8,), "tanh"),
    "adult": (31655, 6783, 100, (8, 8), "relu"),
}


def seconds(fit: Callable[[int], Sequence], epochs: int) -> tuple[float, Sequence]:
    """Return the CPU time of an epoch, by the difference between a short and a long fit, and the long one's results."""
    spent = []
    for count in (2, 2, 2 + epochs):  # the first one is not counted
        started = time.process_time()
        fits = fit(count)
        spent.append(time.process_time() - started)
    return (spent[2] - spent[1]) / epochs, fits


def compare(train: Samples, validation: Samples, base: FaAlGrad, members: int, epochs: int) -> tuple[float, ...]:
    """Return milliseconds for a setting's epoch, single and together, and how far apart the scores are at the end."""
    rates = np.geomspace(1e-4, 1e-2, members).tolist()

    def settings(count: int) -> list[FaAlGrad]:
        return [replace(base, epochs=count, inner_lr=lr, outer_lr=lr) for lr in rates]

    def single(count: int) -> Sequence[Fitted]:
        return [setting.fit(train, validation, seed=0) for setting in settings(count)]

    def together(count: int) -> Sequence[Fitted]:
        return base.fit_together(settings(count), train, validation, seed=0)

    (slow, alone), (fast, stacked) = seconds(single, epochs), seconds(together, epochs)
    scores = [[fit.points[""](validation.inputs).y_score for fit in fits] for fits in (alone, stacked)]
    return 1000 * slow / members, 1000 * fast / members, float(np.abs(np.subtract(*scores)).max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--members", default="5,20", help="numbers of settings (default: 5,20)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs that are timed (default: 20)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'shape':12} {'inner steps':>11} {'settings':>8} {'single ms':>10} {'together':>9} {'ratio':>6} {'apart':>8}"
    )
    for shape, (n, n_validation, d, hidden, activation) in SHAPES.items():
        train, validation = samples(n, d, 0), samples(n_validation, d, 1)
        for steps in (1, 10):
            base = FaAlGrad(inner_steps=steps, hidden=hidden, activation=activation, patience=10**6)
            for members in map(int, args.members.split(",")):
                slow, fast, far = compare(train, validation, base, members, args.epochs)
                print(
                    f"{shape:12} {steps:11} {members:8} {slow:10.2f} {fast:9.2f} {slow / fast:6.1f} {far:8.0e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

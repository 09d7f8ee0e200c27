"""An epoch of FairBiNN's methods beside the plain network and the released code's loop, rebuilt.

All have the released code's layers (101, 101, 101 with one square block before the second) and batches of 200. A fit's
time is divided by its epochs, so the dealing of batches, the validation and a share of the last pass over the training
rows are included, none of which the released loop has. That loop is rebuilt from its description: the constraint's
hinge matrix, two sigmoids, gradients cleared once a batch. With its scoring, it also does what it does in every epoch
besides: an accuracy counted row by row in Python, running means over all batches so far, and the test part scored after
the first batch. Its progress bar is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from _timing import Row, Times, alternately
from torch import Tensor, nn

from fairbench.cells import Choice
from fairbench.data.files import DataSource
from fairbench.data.rows import Split
from fairbench.plugins.loading import load_plugins
from fairbench.running.cell import Workbench
from fairbench.running.suite import Suite, plan

LAYERS = {"hidden": [101, 101, 101], "batch_size": 200}
ETA = 10_000.0


class ReleasedPenalty(nn.Module):
    """The released demographic parity loss: 2K hinges on group means of outputs squashed twice."""

    def __init__(self, groups: Sequence[int]) -> None:
        """Build the matrix of the constraints; only the first group's column is ever filled."""
        super().__init__()
        self.groups = groups
        self.matrix, self.bound = torch.zeros(2 * len(groups), len(groups) + 1), torch.zeros(2 * len(groups))
        for row in range(2 * len(groups)):
            sign = 1.0 if row % 2 == 0 else -1.0
            self.matrix[row, 0], self.matrix[row, -1] = sign, -sign

    def forward(self, output: Tensor, group: Tensor) -> Tensor:
        """Return the loss of outputs (n, 1) in [0, 1] and group codes (n, 1)."""
        twice = torch.sigmoid(output)
        means = [twice[group == value].mean() for value in self.groups]
        hinges = torch.relu(torch.mv(self.matrix, torch.stack([*means, twice.mean()])) - self.bound)
        return ETA * torch.mean(torch.pow(hinges, 2))


class ReleasedNetwork(nn.Module):
    """The released default for Adult: one layer, the fairness block, three layers, a sigmoid."""

    def __init__(self, width: int) -> None:
        """Build the layers."""
        super().__init__()
        self.first = nn.ModuleList([nn.Linear(width, 101)])
        self.block = nn.ModuleList([nn.Linear(101, 101)])
        self.last = nn.ModuleList([nn.Linear(101, 101), nn.Linear(101, 101), nn.Linear(101, 1)])

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (n, 1) in [0, 1]."""
        for layer in [*self.first, *self.block, *self.last[:-1]]:
            x = torch.relu(layer(x))
        return torch.sigmoid(self.last[-1](x))


def accuracy_row_by_row(output: Tensor, y: Tensor) -> float:
    """Return the accuracy as the released code counts it."""
    matches = [torch.round(one) == torch.round(other) for one, other in zip(output, y)]
    return matches.count(True) / len(matches)


def released_epochs(split: Split, epochs: int, scoring: bool) -> None:
    """Train with the released loop."""
    torch.manual_seed(0)
    train, test = split.train, split.test
    model = ReleasedNetwork(train.X.shape[1])
    leader = torch.optim.Adam([*model.first.parameters(), *model.last.parameters()], lr=1e-3)
    follower = torch.optim.Adam(model.block.parameters(), lr=1e-5)
    accuracy_loss, penalty = nn.BCELoss(), ReleasedPenalty([0, 1])
    for _ in range(epochs):
        losses, accuracies = [], []
        for start in range(0, len(train), 200):
            rows = slice(start, start + 200)
            model.zero_grad()
            x = torch.tensor(train.X[rows]).to(torch.float)
            y = torch.tensor(train.y[rows]).view(-1, 1).to(torch.float)
            group = torch.tensor(train.group[rows]).view(-1, 1)
            penalty(model(x), group).backward()
            follower.step()
            output = model(x)
            loss = accuracy_loss(output, y)
            penalty(output, group)  # computed to be logged
            loss.backward()
            leader.step()
            output = model(x)
            losses.append(loss.item())
            if not scoring:
                continue
            accuracies.append(accuracy_row_by_row(output, y))
            np.array(accuracies).mean(), np.array(losses).mean()
            if start == 0:
                with torch.no_grad():
                    scored = [model(torch.tensor(test.X[i : i + 100])) for i in range(0, len(test), 100)]
                accuracy_row_by_row(torch.tensor(test.y).view(-1, 1), torch.cat(scored))


def contestants(split: Split, epochs: int) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; each runs this many epochs."""
    registry, _ = load_plugins()
    block = {**LAYERS, "position": 2, "epochs": epochs, "eta": ETA}
    choices = {
        "mlp of equal layers": Choice("mlp", {**LAYERS, "hidden": [101, 101, 101, 101], "epochs": epochs}),
        "lagrangian_dp": Choice("lagrangian_dp", {**block, "loss": "dp_legacy"}),
        "fairbinn_coupled": Choice("fairbinn_coupled", {**block, "loss": "dp_legacy"}),
        "fairbinn": Choice("fairbinn", {**block, "loss": "dp_legacy"}),
    }
    made: dict[str, Callable[[], object]] = {
        "released loop": lambda: released_epochs(split, epochs, scoring=False),
        "released, with scoring": lambda: released_epochs(split, epochs, scoring=True),
    }
    for name, choice in choices.items():
        method = registry.method(registry.complete("methods", choice))
        made[name] = lambda method=method: method.fit(split.train, split.validation, seed=0)
    return made


def measure(quick: bool) -> Iterator[Row]:
    """Time fits of a few epochs in turns, on Adult if its files are at hand, and give CPU seconds for each epoch."""
    registry, _ = load_plugins()
    here = bool(os.environ.get("FAIRBENCH_DATA")) and not quick
    data = "adult[education=both]" if here else f"synthetic[rows={2_000 if quick else 45_222}]"
    suite = Suite("speed", (data,), ("mlp",), sensitive_as_feature=(True,), repeats=1, reference=False)
    source = DataSource(Path(os.environ["FAIRBENCH_DATA"])) if here else DataSource(None, offline=True)
    split = Workbench(registry, source).split(plan(suite, registry)[0])
    epochs = 2
    found = alternately(contestants(split, epochs), rounds=1, burst=0, budget=30.0)
    times = {name: Times(*(seconds / epochs for seconds in taken)) for name, taken in found.items()}
    rows = f"{len(split.train):,} rows, {split.train.X.shape[1]} features"
    yield times["mlp of equal layers"].row(f"an epoch of the mlp of equal layers, {rows}", "CPU s")
    for name in ("fairbinn", "fairbinn_coupled"):
        yield times[name].row(f"an epoch of {name}", "CPU s", other=times["released loop"], against="released loop")
        beside = {"other": times["released, with scoring"], "against": "released loop with its scoring"}
        yield times[name].row(f"an epoch of {name}", "CPU s", **beside)

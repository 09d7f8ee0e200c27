"""How long a full-size feedback suite takes on this machine: single training steps, timed and multiplied.

    python benchmarks/feedback_cost.py mnist      # or share, svhn, celeba

The VAE and the network are trained on random images for a few steps each, and the time of a step is multiplied by the
number of steps in a generation. What is left out (sampling, labelling, measuring) is small by comparison. A step of
CelebA's VAE takes so long that it is timed for a few images, and the time for the whole batch is extrapolated from two
such times.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import fairbench_papers
import numpy as np
import torch
from fairbench_feedback import _networks
from fairbench_feedback._conv_vae import PRESETS, ConvVAE

from fairbench.plugins.loading import load_plugins
from fairbench.running.suite import plan, read_suite

HERE, PAPER = Path(__file__).parent, Path(fairbench_papers.__file__).parent / "data" / "feedback_loops"
SUITES = {  # preset of the VAE, rows of the training part, suite
    "mnist": ("mnist", 50_000, PAPER / "colored_mnist.toml"),
    "share": ("mnist", 50_000, PAPER / "synthetic_share.toml"),
    "svhn": ("svhn", 52_327, PAPER / "colored_svhn.toml"),
    "celeba": ("celeba", 162_770, HERE / "feedback-celeba.toml"),
}
STEPS = 3
FEW = {"celeba": (2, 6)}  # images in a step from which the time of the preset's batch is extrapolated


def vae_step(preset: str) -> float:
    """Return the CPU seconds of one training step of a preset."""
    size = PRESETS[preset].training.batch_size
    if preset not in FEW:
        return step_of(preset, size)
    few, more = FEW[preset]
    fewest = step_of(preset, few)
    return fewest + (step_of(preset, more) - fewest) / (more - few) * (size - few)


def step_of(preset: str, size: int) -> float:
    """Return the CPU seconds of one training step with this many images."""
    made = PRESETS[preset]
    X = np.random.default_rng(0).random((STEPS * size, math.prod(made.image_shape)), dtype=np.float32)
    seconds = []
    for rows in (size, size, STEPS * size):  # the first is a warm-up; the difference leaves out the building
        start = time.process_time()
        ConvVAE(preset=preset, epochs=1, batch_size=size).fit(X[:rows], made.image_shape, seed=0)
        seconds.append(time.process_time() - start)
    return (seconds[2] - seconds[1]) / (STEPS - 1)


def network_step(preset: str, size: int) -> float:
    """Return the CPU seconds of one training step of the small convolutional network."""
    shape = PRESETS[preset].image_shape
    X = np.random.default_rng(0).random((10 * size, math.prod(shape)), dtype=np.float32)
    y = np.random.default_rng(0).integers(0, 2, len(X))
    model = _networks.simple_cnn((shape[0], shape[1], shape[2]), 2, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = time.process_time()
    _networks.train(model, X, y, optimizer, epochs=1, batch_size=size, seed=0)
    return (time.process_time() - start) / 10


def main() -> None:
    """Print the cost of a generation, a cell and the suite."""
    parser = argparse.ArgumentParser(description="How long a full-size feedback suite takes on this machine.")
    parser.add_argument("suite", choices=SUITES)
    preset, n, path = SUITES[parser.parse_args().suite]
    suite = read_suite(path)
    cells = plan(suite, load_plugins()[0])
    network, loop = cells[0].method.params, cells[0].scenario.params
    generations = loop["generations"]
    how = PRESETS[preset].training
    vae, classifier = vae_step(preset), network_step(preset, network["batch_size"])
    generator = vae * how.epochs * math.ceil(n / how.batch_size)
    rows = round(loop["passes"] * n)
    labels = classifier * network["epochs"] * math.ceil(rows / network["batch_size"])
    print(f"one training step, on one core: VAE {vae:.3f} s, network {classifier:.4f} s")
    print(f"a generation: {generator / 3600:.1f} h for its generator, {labels / 3600:.2f} h for its classifier")
    total = 0.0
    for cell in cells:
        fits = 1 if cell.scenario.name == "seq_class" else generations
        total += fits * generator + generations * labels
    longest = generations * (generator + labels)
    print(f"a cell of {generations} generations: up to {longest / 86400:.1f} days of one core")
    print(f"{suite.name}, {len(cells)} cells: {total / 86400:.0f} days of one core")


if __name__ == "__main__":
    main()

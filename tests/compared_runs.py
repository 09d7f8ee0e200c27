"""Runs that are alike but for how often their methods are wrong, to be compared."""

from __future__ import annotations

from stored_runs import DP, drawn_parts, noisy, stored_run

ALL = ("accuracy", DP, "equalized_odds_difference", "roc_auc", "selection_rate")


def run_in(folder, methods, parts=None, **more):
    """Make a run of the methods given, on these test parts, in a folder of its own."""
    place = folder / str(len(list(folder.iterdir())))
    place.mkdir()
    return stored_run(place, methods, {"d": drawn_parts() if parts is None else parts}, metrics=ALL, **more)


def deciding(flips, seed, select=(0.0, 0.3)):
    """Return a method that is wrong about this share of the rows."""
    return lambda repeat, samples: noisy(samples, flips=flips, seed=seed + repeat, select=select)


def failing(repeat, samples):
    """Fail, as ``stored_run`` takes it."""
    return


def found(compared, metric="accuracy"):
    """Return the only change of a metric."""
    (change,) = [change for change in compared.changes if change.metric == metric]
    return change

"""AIF360 in a process that it shares: which versions work, and how its code is kept from changing anything else."""

from __future__ import annotations

import io
import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np

from fairbench.api import NotApplicable


def check_optimiser(aif360: str, scipy: str) -> None:
    """Refuse an AIF360 that calls scipy's ``fmin_l_bfgs_b`` with the argument ``disp``, and a scipy without it.

    Raises:
        NotApplicable: they are not compatible. Raised while the plugin is loaded, it makes the plugin unavailable.
    """
    numbers = [tuple(int(part) for part in text.split(".")[:2]) for text in (aif360, scipy)]
    if numbers[0] <= (0, 6) and numbers[1] >= (1, 18):
        raise NotApplicable(
            f"AIF360 {aif360} calls an optimiser of scipy with an argument that scipy dropped in 1.18, and {scipy} is "
            "installed; install 'scipy<1.18'"
        )


@contextmanager
def at_work(seed: int = 0) -> Iterator[None]:
    """Run code of the library: quiet, without data left behind, and from the seed; global generators are put back.

    The library draws from NumPy's global generator, prints, warns about packages that it could also use, and reports
    by ``logging.warning``, which would give the root logger a handler. Its metrics remember what they have computed, by
    the metric with all its data, for as long as the process lives.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    silent = logging.NullHandler()  # a root logger with a handler is given no other
    logging.root.addHandler(silent)
    try:
        np.random.seed(seed)
        random.seed(seed)
        with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        forget_metrics()
        logging.root.removeHandler(silent)
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def forget_metrics() -> None:
    """Empty what AIF360's metrics remember, so that the datasets in it can be freed."""
    module = sys.modules.get("aif360.metrics.metric")
    classes = [module.Metric] if module else []
    for cls in classes:  # which grows
        classes += cls.__subclasses__()
        for member in vars(cls).values():
            variables = getattr(getattr(member, "__code__", None), "co_freevars", ())
            if hasattr(member, "__wrapped__") and "cache" in variables:
                member.__closure__[variables.index("cache")].cell_contents.clear()

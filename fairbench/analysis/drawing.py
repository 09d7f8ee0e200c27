"""What all figures share: one colour-blind-safe palette, and settings that give the same bytes for the same numbers.

They need matplotlib, the extra ``plots``. The colours are those of Okabe and Ito (2008), Color universal design.
"""

from __future__ import annotations

from typing import Any

from fairbench.errors import NotApplicable

BLACK, BLUE, VERMILLION, GREEN, PURPLE = "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7"
"""Colours by name, as matplotlib takes them."""
ORANGE, SKY = "#E69F00", "#56B4E9"
GREY, LIGHT = "#777777", "#DDDDDD"
STYLES = ((VERMILLION, "o"), (GREEN, "^"), (PURPLE, "s"), (ORANGE, "v"), (SKY, "P"))  # of the series; then again
"""Colours and markers for the series of a figure, in turn."""
DOTS_PER_INCH = 150
"""Resolution of figures that are written as PNG."""
SETTINGS = {
    "font.size": 9,
    "figure.titlesize": 11,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "fairbench",  # so that the same numbers give the same file
}
"""Matplotlib's settings for all figures, for ``matplotlib.rc_context``."""


def require_matplotlib() -> Any:
    """Return the module ``matplotlib``.

    Raises:
        NotApplicable: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise NotApplicable(
            "figures need the package 'matplotlib': install the extra plots (pip install 'fairbench-harness[plots]')"
        ) from error
    return matplotlib

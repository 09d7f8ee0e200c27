"""FaAlGrad (Malik & Mopuri, TMLR): tables 1 to 5 and figures 2 to 4."""

from __future__ import annotations

from pathlib import Path

from fairbench.api import Paper, hookimpl


@hookimpl
def fairbench_papers() -> list[Paper]:
    """Return the paper."""
    return [
        Paper(
            name="faalgrad",
            title="FaAlGrad: Fairness through Alignment of Gradients across Different Subpopulations",
            reference="Malik & Mopuri, Transactions on Machine Learning Research",
            directory=Path(__file__).with_name("data") / "faalgrad",
        )
    ]

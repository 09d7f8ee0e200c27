"""FairBiNN (Yazdani-Jahromi et al., NeurIPS 2024): what it says of Adult and Heritage Health."""

from __future__ import annotations

from pathlib import Path

from fairbench.api import Paper, hookimpl
from fairbench_papers._fairbinn_epochs import epoch_cost
from fairbench_papers._fairbinn_evidence import lower_loss


@hookimpl
def fairbench_papers() -> list[Paper]:
    """Return the paper."""
    return [
        Paper(
            name="fairbinn",
            title="Fair Bilevel Neural Network (FairBiNN): On Balancing Fairness and Accuracy via Stackelberg "
            "Equilibrium",
            reference="Yazdani-Jahromi et al., NeurIPS 2024, arXiv 2410.16432",
            directory=Path(__file__).with_name("data") / "fairbinn",
            tests={"lower_loss": lower_loss, "epoch_cost": epoch_cost},
        )
    ]

"""What methods share in which somebody else learns beside the network: an adversary, or multipliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from fairbench.api import parameter
from fairbench.api.networks import Network


@dataclass(frozen=True)
class Game(Network):
    """Hyper-parameters of a network that plays a game, in which no loss falls steadily: all epochs are run."""

    patience: Optional[int] = parameter(
        None,
        "epochs without a smaller cross-entropy on validation before stopping; none for all epochs and the last "
        "weights",
        source="own: in a game no loss falls steadily",
        minimum=1,
    )

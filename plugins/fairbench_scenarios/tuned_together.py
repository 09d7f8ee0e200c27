"""``tuned`` with all configurations of a method trained as one computation where the method can."""

from __future__ import annotations

from dataclasses import dataclass

from fairbench.api import Scenario, hookimpl

from ._fits import fit_together
from .tuned import Tuned


@dataclass(frozen=True)
class TunedTogether(Tuned):
    """Choose among a method's configurations as ``tuned`` does, but fit all of them at once where the method can.

    A method that offers ``fit_together`` (see ``fairbench.api.Stackable``) trains configurations of one shape as one
    computation, in a fraction of the time. Its scores differ from those of ``tuned`` by the rounding of float32, which
    is why this is a scenario of its own. Other methods are fitted as in ``tuned``, with the same values.
    """

    name = "tuned_together"
    fit_all = staticmethod(fit_together)


@hookimpl
def fairbench_scenarios() -> list[type[Scenario]]:
    """Offer the scenario."""
    return [TunedTogether]

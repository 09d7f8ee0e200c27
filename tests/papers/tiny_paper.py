"""A paper as a stranger brings it: one plugin file, one directory."""

from pathlib import Path

from fairbench.api import Paper, hookimpl


@hookimpl
def fairbench_papers():
    """Offer the paper."""
    return [Paper("tiny", "A tiny study", "Nobody (2024), Journal of Examples", Path(__file__).with_name("tiny"))]

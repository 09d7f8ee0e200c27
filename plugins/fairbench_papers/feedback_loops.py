"""Fairness feedback loops (Wyllie, Shumailov & Papernot, FAccT 2024): numbers recomputed from the authors' files."""

from __future__ import annotations

from pathlib import Path

from fairbench.api import Paper, hookimpl


@hookimpl
def fairbench_papers() -> list[Paper]:
    """Return the paper."""
    return [
        Paper(
            name="feedback-loops",
            title="Fairness Feedback Loops: Training on Synthetic Data Amplifies Bias",
            reference="Wyllie, Shumailov & Papernot, FAccT 2024",
            directory=Path(__file__).with_name("data") / "feedback_loops",
        )
    ]

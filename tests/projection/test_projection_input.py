"""What the projection and its layer refuse, each with its reason."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from fairbench.api.projection import (
    Box,
    Contrasts,
    Infeasible,
    Projection,
    project,
    project_parity,
    solve_contrasts,
    solve_parity,
)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, g: project_parity(s, g, epsilon=-0.1), "epsilon is -0.1; it must be a number, 0 or more"),
        (lambda s, g: project_parity(s, g, epsilon=float("nan")), "epsilon is nan; it must be a number, 0 or more"),
        (lambda s, g: solve_parity(s.numpy(), g, 2, float("nan"), Box()), "epsilon is nan; it must be a number, 0 or"),
        (
            lambda s, g: solve_contrasts(s.numpy(), Contrasts.mean_prediction(g), np.array([-0.5]), Box()),
            "epsilon is -0.5; it must be a number, 0 or more",
        ),
        (lambda s, g: Projection(epsilon=-1.0), "epsilon is -1.0; it must be a number, 0 or more"),
        (lambda s, g: project_parity(s, g, lower=1.0, upper=0.0), "the box is [1, 0]; lower must be below upper"),
        (lambda s, g: Projection(lower=0.5, upper=0.5), "the box is [0.5, 0.5]; lower must be below upper"),
        (
            lambda s, g: project_parity(s, g[:2]),
            "group has shape (2,) but there are 4 scores; every row needs one code",
        ),
        (lambda s, g: project_parity(s, g - 1), "group codes run from -1 to 0; they must be whole numbers from 0 to 0"),
        (lambda s, g: project_parity(s, g + 0.5), "group holds float64; it must hold whole-number codes"),
        (lambda s, g: project_parity(s.reshape(2, 2), g), "score has shape (2, 2); it must be (n,) or (n, 1)"),
        (
            lambda s, g: project_parity(torch.tensor([0.1, float("nan"), 0.2, float("inf")]), g),
            "NaN or infinite scores: 2 of 4, the first is nan in row 1; the model has diverged, or its inputs hold "
            "such values",
        ),
        (
            lambda s, g: project(torch.tensor([0.1, 0.2, 0.2, float("-inf")]), Contrasts.affine(np.ones(4))),
            "NaN or infinite scores: 1 of 4, the first is -inf in row 3",
        ),
        (
            lambda s, g: Projection()(s, np.stack([g, g, g], axis=1)),
            "group has 3 attributes; at most 2 can be constrained one by one: give every combination of them a code of "
            "its own, (n,), to constrain them together",
        ),
        (
            lambda s, g: Contrasts.mean_prediction(g + 1),
            "group codes run from 1 to 2; a contrast compares two groups, 0 and 1 (project_parity takes more)",
        ),
        (
            lambda s, g: Contrasts.mean_residual(g, [0.0, 1.0]),
            "y has length 2 but group has length 4; every row needs a label",
        ),
        (lambda s, g: Contrasts.mean_residual(g, [0, 1, 0, np.nan]), "NaN or infinite labels: 1 of 4"),
        (lambda s, g: Contrasts.affine(np.ones((2, 4)), [0.0]), "offset has length 1 for contrasts of shape (2, 4)"),
        (lambda s, g: Contrasts.affine([[np.inf] * 4]), "the contrasts' weights and offsets must be finite"),
        (
            lambda s, g: project(s, Contrasts.affine(np.ones(3))),
            "there are 4 scores, but the contrasts are about 3 rows",
        ),
        (
            lambda s, g: project(s, Contrasts.affine(np.ones((3, 4))), epsilon=torch.tensor([0.1, 0.2])),
            "there are 2 epsilons but 3 contrasts; give one for all, or one for each",
        ),
        (lambda s, g: Projection("parity"), "constraint is 'parity'; it must be one of mean_prediction, mean_residual"),
        (lambda s, g: Projection("equalized_odds")(s, g), "equalized_odds is about labels; call the layer with y"),
        (lambda s, g: Projection()(s, [1, 1]), "group has shape (2,) but there are 4 scores; every row needs one code"),
        (lambda s, g: Projection()(s, torch.zeros(4)), "group holds float32; it must hold whole-number codes"),
        (lambda s, g: Projection()(s, [-1] * 4), "group codes begin at -1; they must be whole numbers, 0 or more"),
        (
            lambda s, g: Projection("equalized_odds")(s, [0, 1, 2, 0], [0, 1]),
            "y has length 2 but group has length 4; every row needs a label",
        ),
        (
            lambda s, g: Projection("equalized_odds")(s, [0, 1, 2, 0], [0, 1, np.nan, 0]),
            "NaN or infinite labels: 1 of 4",
        ),
        (
            lambda s, g: Projection("equalized_odds")(s / torch.tensor([1, 1, 1, 0.0]), [0, 1, 2, 0], [0, 1, 1, 0]),
            "NaN or infinite scores: 1 of 4, the first is inf in row 3",
        ),
    ],
)
def test_bad_input_is_refused_with_its_reason(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(torch.tensor([0.1, 0.4, 0.5, 0.9]), np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("score", [[0.1, 0.4], np.array([0.1, 0.4])])
def test_scores_that_are_no_tensor_are_refused(score):
    kind = type(score).__name__
    for call in (project_parity, Projection()):
        with pytest.raises(TypeError, match=f"score is a {kind}; the projection takes tensors"):
            call(score, [0, 1])


def test_half_precision_is_refused():
    with pytest.raises(TypeError, match=r"score is torch.float16; the projection takes float32 and float64"):
        project_parity(torch.zeros(2, dtype=torch.float16), [0, 1])


def test_contrasts_that_contradict_each_other_are_named():
    half = np.arange(40) < 20
    rows = np.stack([np.full(40, 1 / 40), half / 20, ~half / 20])
    contrasts = Contrasts.affine(rows, [0.5, 0.2, 0.3], ["all", "first half", "second half"])
    message = (
        "all and first half and second half cannot all come within epsilon of their targets: in the box [0, 1] one of "
        "them exceeds its epsilon by 0.075 or more"
    )
    with pytest.raises(Infeasible, match=re.escape(message)):
        project(torch.rand(40, generator=torch.Generator().manual_seed(0)), contrasts, lower=0.0, upper=1.0)


def test_a_contrast_without_rows_and_a_target_of_its_own_is_infeasible():
    with pytest.raises(Infeasible, match=r"nothing cannot come within 0.05 of 1"):
        project(torch.zeros(3), Contrasts.affine(np.zeros(3), [1.0], ["nothing"]), lower=0.0, upper=1.0)

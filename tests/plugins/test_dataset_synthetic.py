"""The synthetic dataset against its own truth, and the truth against independent sums and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fairbench_datasets import synthetic
from fairbench_datasets._synthetic_model import PRESETS
from fairbench_datasets._synthetic_truth import Truth
from fairbench_datasets.synthetic import Synthetic
from scipy.special import ndtr
from scipy.stats import norm

from fairbench.api import DataError
from fairbench.data.digest import dataset_digest

SETTINGS = tuple(PRESETS)
TOLERANCES = (0.0, 0.02, 0.05, 0.1)


def gaps(rates):
    """Return the three gaps of a classifier."""
    return (
        rates.demographic_parity_difference,
        rates.equal_opportunity_difference,
        rates.equalized_odds_difference,
    )


def posterior(model, x, a):
    """Return P(Y = 1 | x, a) by Bayes' rule on densities, not by the logistic form that the truth uses."""
    outcome = norm.pdf(x, model.shift[a] + model.effect[a]) * model.base_rate[a]
    none = norm.pdf(x, model.shift[a]) * (1 - model.base_rate[a])
    return (outcome * (1 - model.missed[a]) + none * model.invented) / (outcome + none)


def blind_posterior(model, x, z):
    """Return P(Y = 1 | x, z), the group summed out."""
    joint = []
    for a in (0, 1):
        density = model.base_rate[a] * norm.pdf(x, model.shift[a] + model.effect[a])
        density = density + (1 - model.base_rate[a]) * norm.pdf(x, model.shift[a])
        joint.append(model.weight[a] * np.where(z == 1, model.proxy[a], 1 - model.proxy[a]) * density)
    return (joint[0] * posterior(model, x, 0) + joint[1] * posterior(model, x, 1)) / (joint[0] + joint[1])


def blind_by_cells(model, width):
    """Return accuracy and gaps (DP, equal opportunity, EO) of the best decision for each cell of x and each z."""
    edges = -6 + width * np.arange(round(15 / width) + 1)
    mass = np.zeros((2, 2, 2, len(edges) - 1))  # [z, a, y, cell]
    for a in (0, 1):
        none, outcome = (np.diff(ndtr(edges - model.shift[a] - star * model.effect[a])) for star in (0, 1))
        none, outcome = none * (1 - model.base_rate[a]), outcome * model.base_rate[a]
        for z in (0, 1):
            chance = model.weight[a] * (model.proxy[a] if z else 1 - model.proxy[a])
            mass[z, a, 1] = chance * (outcome * (1 - model.missed[a]) + none * model.invented)
            mass[z, a, 0] = chance * (outcome * model.missed[a] + none * (1 - model.invented))
    select = (mass[:, :, 1].sum(axis=1) >= mass[:, :, 0].sum(axis=1))[:, None, None]
    total, selected = mass.sum(axis=(0, 3)), (mass * select).sum(axis=(0, 3))  # [a, y]
    rates = selected / total
    selection = selected.sum(axis=1) / total.sum(axis=1)
    false_gap, true_gap = np.abs(rates[1] - rates[0])
    accuracy = selected[:, 1].sum() + (total - selected)[:, 0].sum()
    return accuracy, abs(selection[1] - selection[0]), true_gap, max(true_gap, false_gap)


@pytest.mark.parametrize(
    ("setting", "positive", "constant"), [("equal", 0.45, 0.55), ("small", 0.473, 0.527), ("biased", 0.4625, 0.5375)]
)
def test_label_rate_and_constant_are_the_known_ones(setting, positive, constant):
    model = PRESETS[setting]
    assert np.dot(model.weight, model.label_rate) == pytest.approx(positive, abs=1e-12)
    assert Truth(model).constant == pytest.approx(constant, abs=1e-12)


@pytest.mark.parametrize(
    ("setting", "accuracy", "parity", "opportunity", "odds"),
    [
        ("equal", 0.79374, 0.39599, 0.27277, 0.27277),
        ("small", 0.79762, 0.29564, 0.38904, 0.38904),
        ("biased", 0.76501, 0.11906, 0.14989, 0.14989),
    ],
)
def test_aware_bayes_classifier_has_the_known_rates(setting, accuracy, parity, opportunity, odds):
    rates = Synthetic(setting=setting).truth().aware
    assert rates.accuracy == pytest.approx(accuracy, abs=1e-5)  # known to five digits
    assert gaps(rates) == pytest.approx((parity, opportunity, odds), abs=1e-5)


@pytest.mark.parametrize(
    ("setting", "accuracy", "parity", "opportunity", "odds"),
    [
        ("equal", 0.78195, 0.24538, 0.09626, 0.09626),
        ("small", 0.79762, 0.29476, 0.38773, 0.38773),
        ("biased", 0.76206, 0.01360, 0.02531, 0.10666),
    ],
)
def test_blind_bayes_classifier_has_the_known_rates(setting, accuracy, parity, opportunity, odds):
    model = PRESETS[setting]
    rates = Truth(model).blind
    assert rates.accuracy == pytest.approx(accuracy, abs=1e-5)
    # These gaps come from a quadrature that decides whole cells of width .004: at the boundary it is off by up to
    # density * width = 8e-4 (the accuracy, stationary there, is not). Thin cells approach the exact rates.
    assert blind_by_cells(model, 0.004)[1:] == pytest.approx((parity, opportunity, odds), abs=1e-5)
    assert gaps(rates) == pytest.approx((parity, opportunity, odds), abs=8e-4)
    thin = blind_by_cells(model, 1e-4)
    assert rates.accuracy == pytest.approx(thin[0], abs=1e-7)
    assert gaps(rates) == pytest.approx(thin[1:], abs=2e-5)


# accuracy at tolerances 0, .02, .05, .1
OPTIMA = {
    ("equal", "demographic_parity", False): (0.743582, 0.748218, 0.754807, 0.764776),
    ("equal", "equal_opportunity", False): (0.775382, 0.778014, 0.781593, 0.786537),
    ("equal", "equalized_odds", False): (0.775382, 0.778013, 0.781593, 0.786537),
    ("equal", "demographic_parity", True): (0.732782, 0.739693, 0.749278, 0.762949),
    ("equal", "equalized_odds", True): (0.775382, 0.777830, 0.780436, 0.781949),
    ("small", "demographic_parity", False): (0.786699, 0.788008, 0.789839, 0.792520),
    ("small", "equal_opportunity", False): (0.783012, 0.784781, 0.787148, 0.790411),
    ("small", "equalized_odds", False): (0.698068, 0.715068, 0.740568, 0.783068),
    ("small", "demographic_parity", True): (0.766692, 0.769908, 0.774552, 0.781718),
    ("small", "equalized_odds", True): (0.688009, 0.703977, 0.726829, 0.761769),
    ("biased", "demographic_parity", False): (0.761660, 0.762705, 0.763902, 0.764929),
    ("biased", "equal_opportunity", False): (0.761076, 0.762142, 0.763389, 0.764637),
    ("biased", "equalized_odds", False): (0.716169, 0.730169, 0.751169, 0.764636),
    ("biased", "demographic_parity", True): (0.761659, 0.762057, 0.762057, 0.762057),
    ("biased", "equalized_odds", True): (0.682194, 0.705729, 0.741030, 0.761966),
}


@pytest.mark.parametrize(("setting", "constraint", "blind"), list(OPTIMA))
def test_constrained_optima_have_the_known_accuracy_and_keep_the_tolerance(setting, constraint, blind):
    truth = Synthetic(setting=setting).truth()
    for tolerance, accuracy in zip(TOLERANCES, OPTIMA[setting, constraint, blind]):
        rates = truth.optimum(constraint, tolerance, blind=blind)
        assert rates.accuracy == pytest.approx(accuracy, abs=1e-5)
        assert getattr(rates, f"{constraint}_difference") <= tolerance + 1e-6  # the solver's feasibility is 1e-7


@pytest.mark.parametrize("constraint", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize(
    "spec",
    [
        Synthetic(setting="equal", group_share=0.2, base_rate_gap=-0.2, label_noise=0.1),
        Synthetic(setting="biased", group_share=0.6, base_rate_gap=0.3),
    ],
    ids=["protected group ahead", "biased labels"],
)
def test_shifted_thresholds_agree_with_the_linear_programme(spec, constraint):
    truth = spec.truth()
    assert getattr(truth.aware, f"{constraint}_difference") > 0.03
    exact = truth.optimum(constraint, 0.03)
    programme = truth._programme(constraint, 0.03, blind=False)
    assert exact.accuracy == pytest.approx(programme.accuracy, abs=2e-6)  # cells lose 1e-6, the solver 1e-7
    assert getattr(exact, f"{constraint}_difference") == pytest.approx(0.03, abs=1e-9)


def test_loose_tolerance_gives_the_bayes_classifier():
    truth = Synthetic(setting="small").truth()
    assert truth.optimum("demographic_parity", 0.3) == truth.aware
    assert truth.optimum("equalized_odds", 0.4, blind=True) == truth.blind


def test_unknown_constraint_and_negative_tolerance_are_refused():
    truth = Synthetic().truth()
    with pytest.raises(ValueError, match="no constraint is named 'parity'"):
        truth.optimum("parity", 0.1)
    with pytest.raises(ValueError, match=r"tolerance is -0\.1"):
        truth.optimum("demographic_parity", -0.1)


def test_perfect_proxy_makes_blind_as_good_as_aware():
    truth = Synthetic(setting="equal", proxy_strength=1.0).truth()
    assert truth.blind.accuracy == pytest.approx(truth.aware.accuracy, abs=1e-9)
    assert gaps(truth.blind) == pytest.approx(gaps(truth.aware), abs=1e-9)
    blind = truth.optimum("demographic_parity", 0.05, blind=True)
    assert blind.accuracy == pytest.approx(truth.optimum("demographic_parity", 0.05).accuracy, abs=2e-6)


def test_equal_groups_have_no_gap():
    truth = Synthetic(setting="equal", base_rate_gap=0.0, proxy_strength=0.0).truth()
    assert gaps(truth.aware) == (0, 0, 0)
    assert gaps(truth.blind) == pytest.approx((0, 0, 0), abs=1e-12)
    assert truth.blind.accuracy == pytest.approx(truth.aware.accuracy, abs=1e-12)


def test_symmetric_label_noise_leaves_the_decisions_and_shrinks_the_accuracy():
    clean, noisy = Synthetic().truth(), Synthetic(label_noise=0.1).truth()
    for seen in ("aware", "blind"):
        before, after = getattr(clean, seen), getattr(noisy, seen)
        assert after.selection == pytest.approx(before.selection, abs=1e-9)
        assert after.accuracy == pytest.approx(0.1 + 0.8 * before.accuracy, abs=1e-9)


def test_overrides_change_what_they_name_and_nothing_else():
    model = PRESETS["biased"]
    assert Synthetic(setting="biased").distribution() == model
    assert Synthetic(setting="biased", group_share=0.1).distribution() == replace(model, share=0.1)
    assert Synthetic(setting="biased", base_rate_gap=0.25).distribution() == replace(model, base_rate=(0.5, 0.25))
    assert Synthetic(setting="biased", proxy_strength=0.5).distribution() == replace(model, proxy=(0.25, 0.75))
    noisy = Synthetic(setting="biased", label_noise=0.125).distribution()
    assert noisy == replace(model, missed=(0.125, 0.375), invented=0.125)  # the bias of .25 is kept


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"group_share": 1.0}, "group share is 1; it must lie strictly between 0 and 1"),
        ({"base_rate_gap": 0.6}, "protected base rate is 0;"),
        ({"setting": "small", "proxy_strength": 1.0}, r"P\(z = 1\) is -0\.1 in the unprotected group"),
        ({"label_noise": 0.5}, "choose a smaller label_noise"),
    ],
)
def test_impossible_override_is_refused_with_the_value_seen(overrides, message):
    with pytest.raises(DataError, match=message):
        Synthetic(**overrides).load({})


def test_columns_hold_neither_group_nor_true_outcome():
    dataset = Synthetic(rows=500).load({})
    assert list(dataset.X.columns) == ["x", "z", "noise_1", "noise_2", "noise_3", "noise_4", "noise_5"]
    assert set(dataset.X["z"]) == {0, 1}
    assert (len(dataset.y), dataset.favorable_label) == (500, 1)
    assert list(dataset.sensitive_features.columns) == list(Synthetic.sensitive_features) == ["group"]
    assert synthetic.fairbench_datasets() == [Synthetic]


def test_seed_alone_decides_the_draw_and_global_state_is_left_alone():
    before = np.random.get_state()
    first = dataset_digest(Synthetic(rows=200).load({}))
    np.testing.assert_equal(np.random.get_state(), before)
    np.random.random()
    assert dataset_digest(Synthetic(rows=200).load({})) == first
    assert dataset_digest(Synthetic(rows=200, data_seed=1).load({})) != first


def test_settings_share_their_random_numbers():
    plain, noisy = (Synthetic(rows=1000, label_noise=noise).load({}) for noise in (0.0, 0.1))
    assert plain.X.equals(noisy.X)
    assert 0.05 < (plain.y != noisy.y).mean() < 0.15  # .1 with a standard error of .0095


@pytest.fixture(scope="module", params=SETTINGS)
def large(request):
    """Return a setting's model and 400,000 rows as arrays: x, z, group, y and the other columns."""
    dataset = Synthetic(setting=request.param, rows=400_000).load({})
    group = (dataset.sensitive_features["group"] == "protected").to_numpy().astype(int)
    noise = dataset.X.filter(like="noise").to_numpy()
    return PRESETS[request.param], dataset.X["x"].to_numpy(), dataset.X["z"].to_numpy(), group, dataset.y, noise


def assert_share(values, expected):
    """Assert that the mean of a 0/1 array is within five standard errors (one failure in two million)."""
    assert abs(values.mean() - expected) <= 5 * np.sqrt(0.25 / len(values)), (values.mean(), expected)


def test_large_sample_has_the_shares_of_the_distribution(large):
    model, x, z, group, y, noise = large
    assert_share(group, model.share)
    for a in (0, 1):
        assert_share(y[group == a], model.label_rate[a])
        assert_share(z[group == a], model.proxy[a])
        mean = model.shift[a] + model.effect[a] * model.base_rate[a]
        spread = np.sqrt(1 + model.effect[a] ** 2 * model.base_rate[a] * (1 - model.base_rate[a]))
        assert abs(x[group == a].mean() - mean) < 5 * spread / np.sqrt((group == a).sum())
    tolerance = 5 / np.sqrt(len(y))
    assert np.abs(noise.mean(axis=0)).max() < tolerance
    correlations = np.corrcoef(np.column_stack([noise, x, z, group, y]).T)[:5]
    assert np.abs(correlations - np.eye(5, 9)).max() < tolerance


@pytest.mark.parametrize("seen", ["aware", "blind"])
def test_large_sample_agrees_with_the_closed_forms(large, seen):
    model, x, z, group, y, _ = large
    if seen == "aware":
        score = np.where(group == 1, posterior(model, x, 1), posterior(model, x, 0))
    else:
        score = blind_posterior(model, x, z)
    selected = score >= 0.5
    truth = getattr(Truth(model), seen)
    assert_share(selected == y, truth.accuracy)
    for a in (0, 1):
        assert_share(selected[group == a], truth.selection[a])
        assert_share(selected[(group == a) & (y == 1)], truth.true_positive[a])
        assert_share(selected[(group == a) & (y == 0)], truth.false_positive[a])

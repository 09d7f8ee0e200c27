"""Generators imitate rows, repeat themselves by seed, and stay in the data's own domain."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from fairbench_feedback._conv_vae import PRESETS, ConvVAE
from fairbench_feedback._gaussian_mixture import GaussianMixture
from fairbench_feedback._generators import Domain, one_hot_blocks
from fairbench_feedback._tabular_vae import TabularVAE
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture as Reference

from fairbench.api import NotApplicable


def blobs(n=600, seed=0):
    """Return two clusters, ten apart, with a one-hot block of three categories that goes with the cluster."""
    random = np.random.default_rng(seed)
    side = random.integers(0, 2, n)
    numbers = random.normal(size=(n, 2)) + 10 * side[:, None]
    category = np.where(side == 0, 0, random.integers(1, 3, n))
    return np.hstack([numbers, np.eye(3)[category]]).astype(np.float32)


def digits():
    X = load_digits().data[:400] / 16
    return np.concatenate([X, np.zeros_like(X), np.zeros_like(X)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("generator", "X", "shape"),
    [
        (GaussianMixture(components=2), blobs(), ()),
        (GaussianMixture(components=3, reduce=2, rows=300), blobs(), ()),
        (TabularVAE(epochs=2), blobs(), ()),
        (ConvVAE(epochs=1), digits(), (3, 8, 8)),
    ],
    ids=["mixture", "mixture of components", "tabular_vae", "conv_vae"],
)
def test_the_same_seed_gives_the_same_rows_whatever_the_global_state(generator, X, shape):
    def draw(fit_seed=1, seed=2):
        return generator.fit(X, shape, seed=fit_seed).sample(70, seed=seed)

    state = torch.get_rng_state()
    first = draw()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    np.random.seed(9)  # the global state is what must not matter
    assert draw().tobytes() == first.tobytes()
    torch.set_rng_state(state)
    assert first.shape == (70, X.shape[1])
    assert draw(seed=3).tobytes() != first.tobytes()
    if generator != GaussianMixture(components=2):  # which finds the same two blobs from everywhere
        assert draw(fit_seed=3).tobytes() != first.tobytes()


def test_a_mixture_has_the_moments_of_its_rows():
    X = blobs(2000)[:, :2]
    sample = GaussianMixture(components=2).fit(X, (), seed=0).sample(20_000, seed=1)
    # standard errors: .05 of a mean (spread 5), .02 of a share
    np.testing.assert_allclose(sample.mean(axis=0), X.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(sample.T), np.cov(X.T), rtol=0.05)
    assert np.mean(sample[:, 0] > 5) == pytest.approx(np.mean(X[:, 0] > 5), abs=0.02)


def test_a_mixture_is_scikit_learns_and_its_loss_the_negative_likelihood():
    X = blobs(500)[:, :2]
    theirs = Reference(2, reg_covar=1e-3, random_state=5).fit(X.astype(float))
    fitted = GaussianMixture(components=2).fit(X, (), seed=5)
    assert fitted.loss == pytest.approx(-theirs.score(X), abs=1e-3)  # the bound is that of the step before


def test_a_mixture_after_a_projection_stays_in_the_projection():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2)) @ random.normal(size=(2, 6)) + 3  # a plane in six dimensions
    sample = GaussianMixture(components=2, reduce=2).fit(X, (), seed=0).sample(50, seed=1)
    assert np.linalg.matrix_rank(sample - X.mean(axis=0), tol=1e-8) == 2


def test_more_components_than_rows_are_cut_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = GaussianMixture(components=10, steps=1).fit(np.zeros((4, 2)), (), seed=0)
    assert fitted.sample(3, seed=0).shape == (3, 2)


def test_a_tabular_vae_learns_clusters_and_categories():
    X = blobs(1500)
    sample = TabularVAE(latent=4).fit(X, (), seed=0).sample(4000, seed=1)
    blocks = sample[:, 2:]
    assert ((blocks == 0) | (blocks == 1)).all()
    assert (blocks.sum(axis=1) == 1).all()
    # loose: the model is small and quickly trained; an untrained one gives the middle of both clusters
    near = np.minimum(abs(sample[:, 0]), abs(sample[:, 0] - 10)) < 3
    assert near.mean() > 0.8
    first = sample[:, 0] < 5
    assert 0.3 < first.mean() < 0.7
    assert blocks[first, 0].mean() > 0.8 > 0.2 > blocks[~first, 0].mean()


@pytest.mark.long
def test_a_convolutional_vae_learns_to_draw():
    X = digits()
    first, fitted = (ConvVAE(epochs=epochs, batch_size=32).fit(X, (3, 8, 8), seed=0) for epochs in (1, 25))
    assert fitted.loss < first.loss
    sample = fitted.sample(300, seed=1)
    assert sample.min() >= 0
    assert sample.max() <= 1
    channels = sample.reshape(300, 3, 64)
    assert 3 * channels[:, 1:].mean() < channels[:, 0].mean()  # red digits; an untrained decoder is grey
    mean, seen = X[:, :64].mean(axis=0), channels[:, 0].mean(axis=0)
    assert np.linalg.norm(seen - mean) < 0.5 * np.linalg.norm(mean)  # much nearer to the mean digit than black is


@pytest.mark.parametrize(("preset", "parameters"), [("mnist", 651_179), ("svhn", 4_348_547), ("celeba", 85_680_747)])
def test_presets_have_the_papers_sizes_and_give_back_their_shape(preset, parameters):
    chosen = PRESETS[preset]
    with torch.device("meta"):
        model = chosen.network()
        images = torch.empty((2, *chosen.image_shape))
        assert model.decoder(model.mean(model.encoder(images))).shape == images.shape
    assert sum(part.numel() for part in model.parameters()) == parameters


def test_image_generators_refuse_tables_and_other_shapes_and_table_generators_images():
    with pytest.raises(NotApplicable, match=r"conv_vae\[preset=digits\] works on images of 3 x 8 x 8 values, not ro"):
        ConvVAE().fit(blobs(), (), seed=0)
    with pytest.raises(NotApplicable, match=r"\[preset=mnist\] works on images of 3 x 28 x 28 values, not 3 x 8 x 8"):
        ConvVAE(preset="mnist").fit(digits(), (3, 8, 8), seed=0)
    with pytest.raises(NotApplicable, match="tabular_vae works on tables, and these rows are images of 3 x 8 x 8"):
        TabularVAE().fit(digits(), (3, 8, 8), seed=0)


def test_a_generator_that_diverges_says_so():
    with pytest.raises(ArithmeticError, match=r"the generator's loss became .* lower its learning rate"):
        TabularVAE(lr=1e12, epochs=3).fit(blobs(), (), seed=0)


@pytest.mark.parametrize(
    ("columns", "blocks"),
    [
        ([[1, 0, 0, 1], [0, 1, 1, 0]], [slice(0, 2), slice(2, 4)]),
        ([[0.5, 1, 0, 0], [0.7, 0, 1, 0], [0.1, 0, 0, 1]], [slice(1, 4)]),
        ([[1, 1, 0], [0, 1, 0], [1, 0, 1]], [slice(1, 3)]),  # a flag before a block of two
        ([[1, 0], [0, 0]], []),  # two flags
        ([[0, 1, 0], [0, 0, 1]], [slice(1, 3)]),  # a category that no row has begins no block
    ],
)
def test_one_hot_blocks_are_found(columns, blocks):
    assert one_hot_blocks(np.array(columns, dtype=float)) == blocks


def test_samples_come_back_into_the_domain():
    X = np.array([[0.0, 1, -1, 1, 0, 0], [5.0, 1, 2, 0, 1, 0], [9.0, 1, 2, 0, 0, 1], [9.0, 1, 2, 0, 0, 1]])
    domain = Domain.of(X, ())
    made = domain.project(np.array([[-3.0, 7, 0.4, 0.2, 0.9, 0.1], [4.5, 1, 0.6, -1, -2, -0.5]]))
    assert made.tolist() == [[0, 1, -1, 0, 1, 0], [4.5, 1, 2, 0, 0, 1]]
    pixels = Domain.of(np.full((2, 4), 0.5), (1, 2, 2)).project(np.array([[-0.5, 0.25, 1.5, 1]]))
    assert pixels.tolist() == [[0, 0.25, 1, 1]]

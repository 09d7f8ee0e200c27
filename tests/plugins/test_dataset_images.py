"""Coloured digits, MNIST and SVHN, and the photographs that a user brings; and the table made for loops."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from fairbench_datasets import _coloured, celeba, colored_digits, colored_mnist, colored_svhn, fairface, gauss_loop
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from fairbench.api import DataError, NotApplicable
from fairbench.cells import Preparation
from fairbench.data.digest import dataset_digest
from fairbench.data.inspection import measured_notes
from fairbench.data.preparation import split_dataset

PARTS = ("train", "validation", "test")


def colours(dataset):
    return dataset.sensitive_features["colour"].to_numpy()


def channels(dataset):
    """Return (n, 3): which channels of each image hold anything."""
    return dataset.X.reshape(len(dataset.X), 3, -1).any(axis=2)


@pytest.fixture(scope="module")
def digits():
    return colored_digits.ColoredDigits().load({})


def test_coloured_digits_go_with_the_label_as_documented(digits):
    clean = np.tile(load_digits().target >= 5, 4)
    # five standard errors of a share among 7,188, or 3,594 of one label
    assert np.mean(digits.y != clean) == pytest.approx(0.05, abs=0.013)
    green = colours(digits) == "green"
    assert green[digits.y == 1].mean() == pytest.approx(0.7, abs=0.038)
    assert green[digits.y == 0].mean() == pytest.approx(0.3, abs=0.038)
    assert digits.protected_group == {"colour": "red"}


def test_an_image_is_in_the_channel_of_its_colour_alone(digits):
    found = channels(digits)
    assert found.sum(axis=1).tolist() == [1] * 7188
    np.testing.assert_array_equal(found.argmax(axis=1), np.where(colours(digits) == "red", 0, 1))
    plain = digits.X[:1797].reshape(1797, 3, 64).sum(axis=1) * 16
    np.testing.assert_allclose(plain, load_digits().data, atol=1e-4)  # the first copies are as they are


def test_no_digit_is_in_two_parts_and_every_repeat_parts_anew(digits):
    seen = []
    for seed in range(3):
        parts = digits.partition(seed)
        assert [len(part) for part in parts] == [4 * 1200, 4 * 97, 4 * 500]
        bases = [set(part % 1797) for part in parts]
        assert not bases[0] & bases[1]
        assert not bases[0] & bases[2]
        assert not bases[1] & bases[2]
        seen.append(frozenset(bases[2]))
    assert len(set(seen)) == 3


def overlapping(dataset):
    """Return how the rows of two repeats overlap: the shares of the rows used and of those tested."""
    repeats = [dataset.partition(seed) for seed in (1, 2)]
    used = [set(np.concatenate(parts).tolist()) for parts in repeats]
    tested = [set(parts[2].tolist()) for parts in repeats]
    return tuple(len(first & second) / len(first) for first, second in (used, tested))


def test_each_dataset_says_how_its_repeats_overlap(digits, mnist_files):
    assert (digits.overlap, overlapping(digits)) == ("pool", (1.0, pytest.approx(500 / 1797, abs=0.1)))
    loop = gauss_loop.GaussLoop().load({})
    assert (loop.overlap, overlapping(loop)) == (
        "unknown",
        (pytest.approx(1 / 4, abs=0.03), pytest.approx(6 / 32, abs=0.03)),
    )
    published, drawn = (colored_mnist.ColoredMNIST(split=split).load(mnist_files) for split in ("published", "random"))
    assert (published.overlap, overlapping(published)) == ("unknown", (1.0, 1.0))
    assert (drawn.overlap, overlapping(drawn)) == ("pool", (1.0, pytest.approx(1 / 7, abs=0.02)))


def test_every_parameter_really_changes_the_data(digits):
    same = colored_digits.ColoredDigits().load({})
    assert dataset_digest(same) == dataset_digest(digits)
    changes = [{"threshold": 4}, {"flip": 0.2}, {"green_if_1": 0.9}, {"green_if_0": 0.1}, {"data_seed": 1}]
    found = [colored_digits.ColoredDigits(**change).load({}) for change in changes]
    assert len({*map(dataset_digest, [digits, *found])}) == 6
    assert (found[0].y != digits.y).mean() == pytest.approx(0.1, abs=0.02)  # the fours
    assert (colours(found[2])[found[2].y == 1] == "green").mean() == pytest.approx(0.9, abs=0.03)


def test_images_are_split_as_they_are(digits):
    split = split_dataset(digits, group="colour", seed=1, preparation=Preparation())
    assert [getattr(split, part).X.shape for part in PARTS] == [(4800, 192), (388, 192), (2000, 192)]
    assert split.train.schema.image_shape == (3, 8, 8)
    assert split.train.group_names == ("green", "red")
    np.testing.assert_array_equal(split.train.X, digits.X[digits.partition(1)[0]])


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="module")
def mnist_files(tmp_path_factory):
    """Write files of MNIST's sizes, with a single grey pixel in each image."""
    folder, random, files = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0), {}
    for images, labels, n in (
        (colored_mnist.TRAIN_IMAGES, colored_mnist.TRAIN_LABELS, 60_000),
        (colored_mnist.TEST_IMAGES, colored_mnist.TEST_LABELS, 10_000),
    ):
        pixels = np.zeros((n, 28, 28), np.uint8)
        pixels[:, 3, 4] = 200
        for file, array in ((images, pixels), (labels, random.integers(0, 10, n))):
            files[file.path] = folder / Path(file.path).name
            files[file.path].write_bytes(idx(array))
    return files


def test_coloured_mnist_has_the_published_sizes_and_those_of_the_code(mnist_files):
    dataset = colored_mnist.ColoredMNIST().load(mnist_files)
    assert dataset.X.shape == (70_000, 2352)
    assert dataset.X.dtype == np.uint8
    assert [len(part) for part in dataset.partition(0)] == [50_000, 10_000, 10_000]
    assert dataset.partition(0)[2].tolist() == list(range(60_000, 70_000))
    green = colours(dataset) == "green"
    assert green[dataset.y == 1].mean() == pytest.approx(0.7, abs=0.02)
    assert green[-10_000:][dataset.y[-10_000:] == 1].mean() == pytest.approx(0.7, abs=0.03)  # as in training
    image = dataset.X[0].reshape(3, 28, 28)
    assert image[:, 3, 4].tolist() == ([0, 200, 0] if green[0] else [200, 0, 0])
    code = colored_mnist.ColoredMNIST(split="code", test_colours="balanced").load(mnist_files)
    assert [len(part) for part in code.partition(0)] == [50_001, 9_999, 10_000]
    green = colours(code) == "green"
    assert green[-10_000:][code.y[-10_000:] == 1].mean() == pytest.approx(0.5, abs=0.03)
    assert green[:60_000][code.y[:60_000] == 1].mean() == pytest.approx(0.7, abs=0.02)


def test_coloured_mnist_can_be_parted_at_random(mnist_files):
    spec = colored_mnist.ColoredMNIST(split="random")
    parts = spec.partition(1)
    assert [len(part) for part in parts] == [50_000, 10_000, 10_000]
    assert len(np.unique(np.concatenate(parts))) == 70_000
    assert parts[2].tolist() != spec.partition(2)[2].tolist()
    with pytest.raises(DataError, match="no fixed test part can be balanced"):
        colored_mnist.ColoredMNIST(split="random", test_colours="balanced").load(mnist_files)


def test_a_file_that_is_no_idx_file_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc"))
    with pytest.raises(DataError, match=r"images.gz: not an IDX file of bytes with 1 dimensions"):
        colored_mnist._idx(path, 1)
    path.write_bytes(idx(np.array([1, 2, 10, 3, 4])))
    assert colored_mnist._idx(path, 1).tolist() == [1, 2, 10, 3, 4]
    with pytest.raises(DataError, match=r"images.gz: value 3 is 10; it must be at most 9"):
        colored_mnist._idx(path, 1, highest=9)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"images.gz: not a compressed IDX file \("):
        colored_mnist._idx(path, 1)


def test_images_and_labels_of_different_files_are_refused(tmp_path):
    (tmp_path / "images.gz").write_bytes(idx(np.zeros((3, 28, 28))))
    (tmp_path / "labels.gz").write_bytes(idx(np.zeros(4)))
    with pytest.raises(DataError, match=r"images.gz: images of shape \(3, 28, 28\) for the 4 labels of labels.gz"):
        colored_mnist._digits(tmp_path / "images.gz", tmp_path / "labels.gz")


@pytest.mark.skipif(not os.environ.get("FAIRBENCH_DATA"), reason="FAIRBENCH_DATA names no folder of real raw files")
def test_the_published_test_file_reads_as_its_counts():
    folder = Path(os.environ["FAIRBENCH_DATA"])
    images = colored_mnist._idx(folder / colored_mnist.TEST_IMAGES.path, 3)
    digit = colored_mnist._idx(folder / colored_mnist.TEST_LABELS.path, 1, 9)
    assert images.shape == (10_000, 28, 28)
    assert np.bincount(digit).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # as published
    assert (digit >= 5).sum() == 4861
    coloured = _coloured.coloured(images[:3], np.array(["red", "green", "red"])).reshape(3, 3, 28, 28)
    np.testing.assert_array_equal(coloured.sum(axis=1), images[:3])
    train = colored_mnist._idx(folder / colored_mnist.TRAIN_LABELS.path, 1, 9)
    assert train.shape == (60_000,)


def test_coloured_svhn_takes_brightness_and_reverses_the_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(colored_svhn, "TRAIN_FILE", 400)
    monkeypatch.setattr(colored_svhn, "TRAINING", 300)
    random, files = np.random.default_rng(0), {}
    for file, n in ((colored_svhn.TRAIN, 400), (colored_svhn.TEST, 200)):
        files[file.path] = tmp_path / Path(file.path).name
        X = np.zeros((32, 32, 3, n), np.uint8)
        X[:, :, 1] = 100  # green in the photograph: brightness 58.7
        savemat(files[file.path], {"X": X, "y": random.integers(1, 11, (n, 1))})  # 10 stands for 0
    for size in (32, 64):
        dataset = colored_svhn.ColoredSVHN(flip=0.0, size=size).load(files)
        images = dataset.X.reshape(600, 3, size, size)
        assert images.max() == 59
        assert (images.max(axis=1) == 59).all()
        assert channels(dataset).sum(axis=1).tolist() == [1] * 600
    digit = np.random.default_rng(0).integers(1, 11, (400, 1)).ravel() % 10
    np.testing.assert_array_equal(dataset.y[:400], digit < 5)
    parts = [dataset.partition(seed) for seed in (0, 1)]
    assert measured_notes(dataset)  # its images are alike, and its partition is what it says
    assert [len(part) for part in parts[0]] == [300, 100, 200]
    assert parts[0][2].tolist() == list(range(400, 600))
    assert (dataset.overlap, overlapping(dataset)) == ("unknown", (1.0, 1.0))
    assert parts[0][0].tolist() != parts[1][0].tolist()


def photograph(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 30), colour).save(path)


@pytest.fixture
def faces(tmp_path):
    """Write twelve photographs with CelebA's tables."""
    header = "12\n5_o_Clock_Shadow Attractive Male \n"
    rows = [f"{n:06d}.jpg  1 {1 if n % 2 else -1} {1 if n % 3 else -1}\n" for n in range(12)]
    (tmp_path / celeba.ATTRIBUTES).write_text(header + "".join(rows))
    (tmp_path / celeba.PARTITION).write_text("".join(f"{n:06d}.jpg {n // 4}\n" for n in range(12)))
    for n in range(12):
        photograph(tmp_path / celeba.IMAGES / f"{n:06d}.jpg", (20 * n, 0, 255))
    return tmp_path


def test_celeba_reads_the_folder_that_the_user_names(faces):
    dataset = celeba.CelebA(folder=str(faces), size=8).load({})
    assert dataset.X.shape == (12, 192)
    assert dataset.y.tolist() == [0, 1] * 6
    assert dataset.sensitive_features["sex"].tolist() == ["female", "male", "male"] * 4
    assert [part.tolist() for part in dataset.partition(5)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert (dataset.overlap, overlapping(dataset)) == ("unknown", (1.0, 1.0))
    blue = dataset.X.reshape(12, 3, 64)
    assert abs(blue[:, 2].astype(int) - 255).max() <= 2  # JPEG
    assert abs(blue[5, 0].astype(int) - 100).max() <= 2
    few = celeba.CelebA(folder=str(faces), size=8, images=2).load({})
    assert [part.tolist() for part in few.partition(0)] == [[0, 1], [2, 3], [4, 5]]


def test_fairface_parts_its_tables_as_the_paper_prepares_them(tmp_path, monkeypatch):
    monkeypatch.setattr(fairface, "HELD_OUT", 4)
    lines = {"train": 10, "val": 3}
    for name, n in lines.items():
        rows = [
            f"{name}/{i}.jpg,{('20-29', '30-39')[i % 2]},{('Male', 'Female')[i % 2]},{fairface.RACES[i % 7]},True"
            for i in range(1, n + 1)
        ]
        table = "\n".join(["file,age,gender,race,service_test", *rows])
        (tmp_path / f"fairface_label_{name}.csv").write_text(table + "\n")
        for i in range(1, n + 1):
            photograph(tmp_path / name / f"{i}.jpg", (10 * i, 0, 0))
    dataset = fairface.FairFace(folder=str(tmp_path), size=8).load({})
    assert [len(part) for part in dataset.partition(0)] == [6, 3, 4]
    assert (dataset.overlap, overlapping(dataset)) == ("unknown", (1.0, 1.0))
    red = dataset.X.reshape(13, 3, 64)[:, 0, 0].astype(int)
    assert abs(red[[0, 6, 9]] - [50, 10, 10]).max() <= 2  # the fifth training photograph comes first
    assert dataset.y.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0]
    assert dataset.sensitive_features["age"][0] == "30 and over"
    assert dataset.sensitive_features["race"].tolist()[:2] == ["Southeast Asian", "Middle Eastern"]


@pytest.mark.parametrize("spec", [celeba.CelebA, fairface.FairFace])
def test_a_missing_folder_says_where_the_data_are_to_be_had(spec, tmp_path):
    name = spec.name
    with pytest.raises(NotApplicable, match=rf"{name} is not downloaded: get the data from https://.*{name}\[folder="):
        spec().load({})
    with pytest.raises(NotApplicable, match=rf"{name}: the folder .*nowhere does not exist"):
        spec(folder=str(tmp_path / "nowhere")).load({})
    with pytest.raises(NotApplicable, match=rf"{name}: {tmp_path} holds no .*"):
        spec(folder=str(tmp_path)).load({})


def test_damaged_photographs_and_tables_are_named(faces):
    (faces / celeba.IMAGES / "000003.jpg").write_bytes(b"no photograph")
    with pytest.raises(DataError, match=r"000003.jpg: not a photograph"):
        celeba.CelebA(folder=str(faces)).load({})
    (faces / celeba.PARTITION).write_text("000000.jpg 0\n")
    with pytest.raises(DataError, match=r"partition.txt: images without a part: 11, the first is '000001.jpg'"):
        celeba.CelebA(folder=str(faces)).load({})
    (faces / celeba.ATTRIBUTES).write_text("12\nYoung\n000000.jpg 1\n")
    with pytest.raises(DataError, match=r"list_attr_celeba.txt, line 2: .* not the published table"):
        celeba.CelebA(folder=str(faces)).load({})


def test_without_pillow_the_extra_is_named(faces, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(NotApplicable, match=r"celeba needs Pillow: pip install 'fairbench-harness\[images\]'"):
        celeba.CelebA(folder=str(faces)).load({})


def test_the_table_for_loops_is_drawn_as_documented():
    dataset = gauss_loop.GaussLoop().load({})
    X, y = dataset.X.to_numpy(), dataset.y
    side = np.where(dataset.sensitive_features["group"] == "minoritized", -1, 1)
    assert y.mean() == pytest.approx(0.5, abs=0.015)  # 32,000 rows: five standard errors are .014
    # of y = 1 after 5% flips: .95 * .3 + .05 * .7
    assert np.mean(side[y == 1] == -1) == pytest.approx(0.32, abs=0.02)
    means = [X[:, 0][y == 1].mean(), X[:, 4][side == 1].mean(), X[:, 5][side == -1].mean(), X[:, 6].mean()]
    assert means == pytest.approx([0.9 * 1.1, 2.2, -0.8, 0.0], abs=0.05)
    radius = np.hypot(X[:, 1], X[:, 2])
    assert radius[y == 1].mean() > 1.9 > 1.3 > radius[y == 0].mean()
    assert (X[:, 3] * side)[y == 1].mean() == pytest.approx(0.9 * 0.6, abs=0.05)
    parts = dataset.partition(3)
    assert [len(part) for part in parts] == [1500, 500, 6000]
    assert len(np.unique(np.concatenate(parts))) == 8000
    assert parts[0].tolist() != dataset.partition(4)[0].tolist()

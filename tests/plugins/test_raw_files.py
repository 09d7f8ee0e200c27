"""Whatever is wrong with a raw file, its reader says so by a DataError with the file and, of text, the line."""

from __future__ import annotations

import gzip
import os
import re
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from fairbench_datasets import (
    _matlab,
    _reading,
    adult,
    bank,
    celeba,
    colored_mnist,
    colored_svhn,
    communities,
    compas,
    credit_default,
    diabetes,
    dutch,
    fairface,
    german,
    law_school,
    ricci,
    student,
)
from fairbench_datasets.health import Health
from PIL import Image
from scipy.io import savemat

from fairbench.api import DataError, Dataset

sys.path.insert(0, str(Path(__file__).parent))
from damaged_files import damaged, damaged_gzip
from health_files import make_tables, write

MUTANTS = int(os.environ.get("FAIRBENCH_MUTANTS", "40"))  # of each file
ROWS = 300  # of the real files, so that a thousand mutants take a minute


def reason_or_data(load):
    """Return what was loaded, or why it was refused; any other error is the test's."""
    try:
        return load()
    except DataError as error:
        return str(error)


def check(load, paths, folder, mutate=damaged, text=True):
    """Load with each file damaged in turn; return how often it was refused."""
    sound, refused = {path: path.read_bytes() for path in paths}, 0
    load()
    for path in paths:
        for number in range(MUTANTS):
            path.write_bytes(mutate(sound[path], np.random.default_rng([number, paths.index(path)])))
            reason = reason_or_data(load)
            if isinstance(reason, str):
                refused += 1
                assert len(reason) < 2000
                if str(folder) not in reason:
                    assert re.match(r"\w+: ", reason), reason  # what is left is no dataset: one class, say
                elif text:
                    assert re.search(r", line [1-9]", reason), reason
            else:
                assert isinstance(reason, (Dataset, np.ndarray))
        path.write_bytes(sound[path])
    return refused


TABLES = [
    *(adult.Adult, bank.Bank, communities.Communities, compas.Compas, credit_default.CreditDefault, diabetes.Diabetes),
    *(dutch.Dutch, german.German, law_school.LawSchool, ricci.Ricci, student.Student),
]


@pytest.mark.parametrize("spec", TABLES)
def test_damaged_copies_of_the_real_tables_are_read_or_refused(spec, tmp_path):
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files (adult/adult.data and so on)")
    files = {}
    for file in spec.files:
        files[file.path] = tmp_path / Path(file.path).name
        with (Path(os.environ["FAIRBENCH_DATA"]) / file.path).open("rb") as stream:
            files[file.path].write_bytes(b"".join(islice(stream, ROWS)))
    assert check(lambda: spec().load(files), list(files.values()), tmp_path) > MUTANTS / 4


def test_an_unknown_value_where_all_are_known_is_refused(tmp_path):
    if not os.environ.get("FAIRBENCH_DATA"):
        pytest.skip("FAIRBENCH_DATA is unset; it must name a folder with the raw files (adult/adult.data and so on)")
    (file,) = communities.Communities.files
    rows = (Path(os.environ["FAIRBENCH_DATA"]) / file.path).read_text(encoding="utf-8").splitlines()[:ROWS]
    fields = rows[6].split(",")
    fields[len(communities.IDENTIFIERS) + communities.PREDICTORS.index("racePctHisp")] = "?"
    (tmp_path / "table.txt").write_text("\n".join([*rows[:6], ",".join(fields), *rows[7:]]))
    with pytest.raises(DataError, match=r"table.txt, line 7: racePctHisp is '\?'; it must be a number from 0 to 100$"):
        communities.Communities().load({file.path: tmp_path / "table.txt"})


def test_damaged_copies_of_the_health_tables_are_read_or_refused(tmp_path):
    files = write(make_tables(40), tmp_path)  # this variant reads all five
    assert check(lambda: Health(variant="fairbinn").load(files), list(files.values()), tmp_path) > MUTANTS / 4


def test_a_damaged_copy_of_an_idx_file_is_read_or_refused(tmp_path):
    path = tmp_path / "labels.gz"
    header = bytes([0, 0, 8, 1]) + np.array([500], ">u4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(np.random.default_rng(0).integers(0, 10, 500).tolist())))
    refused = check(lambda: colored_mnist._idx(path, 1, 9), [path], tmp_path, damaged_gzip, text=False)
    assert refused > MUTANTS / 2


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_of_a_matlab_file_are_those_that_were_saved(compressed, tmp_path):
    path, random = tmp_path / "some.mat", np.random.default_rng(0)
    saved = {
        "X": random.integers(0, 255, (4, 3, 2, 5), dtype=np.uint8),
        "y": np.array([[1], [10], [3]], np.uint8),  # so few that they fill a small element
        "a_long_name": random.normal(size=(7, 2)),
        "ints": random.integers(-9, 9, (3, 4), dtype=np.int32),
    }
    savemat(path, saved, do_compression=compressed)
    found = _matlab.arrays(path.read_bytes())
    assert list(found) == list(saved)
    for name, array in saved.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_what_is_no_plain_array_of_a_matlab_file_is_refused(tmp_path):
    for name, value in (("text", "abc"), ("cells", np.array([{}], dtype=object)), ("z", np.ones(3) + 1j)):
        path = tmp_path / f"{name}.mat"
        savemat(path, {name: value})
        with pytest.raises(ValueError, match=r"not one of plain numbers|instead of an array|whose stated shape"):
            _matlab.arrays(path.read_bytes())


@pytest.mark.parametrize("compressed", [True, False])
def test_a_damaged_copy_of_a_matlab_file_is_read_or_refused(compressed, tmp_path):
    path = tmp_path / "train_32x32.mat"
    random = np.random.default_rng(0)
    savemat(
        path,
        {"X": random.integers(0, 255, (32, 32, 3, 2), dtype=np.uint8), "y": np.array([[1], [10]], np.uint8)},
        do_compression=compressed,
    )
    assert check(lambda: colored_svhn._read(path)[0], [path], tmp_path, text=False) > MUTANTS / 4


def test_damaged_copies_of_the_face_tables_are_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fairface, "HELD_OUT", 2)
    header = "12\n5_o_Clock_Shadow Attractive Male \n"
    rows = [f"{n:06d}.jpg  1 {1 if n % 2 else -1} {1 if n % 3 else -1}\n" for n in range(12)]
    (tmp_path / celeba.ATTRIBUTES).write_text(header + "".join(rows))
    (tmp_path / celeba.PARTITION).write_text("".join(f"{n:06d}.jpg {n // 4}\n" for n in range(12)))
    ages, sexes = ("20-29", "30-39"), ("Male", "Female")
    people = [f"train/{n}.jpg,{ages[n % 2]},{sexes[n % 3 == 0]},{fairface.RACES[n % 7]},True\n" for n in range(12)]
    for name in (fairface.TRAIN, fairface.VALIDATION):
        (tmp_path / name).write_text("file,age,gender,race,service_test\n" + "".join(people))
    for folder, n in ((celeba.IMAGES, "{:06d}.jpg"), ("train", "{}.jpg")):
        (tmp_path / folder).mkdir()
        for number in range(12):
            Image.new("RGB", (4, 4), (20 * number, 0, 0)).save(tmp_path / folder / n.format(number))
    (tmp_path / "val").mkdir()
    for spec, names in ((celeba.CelebA, (celeba.ATTRIBUTES, celeba.PARTITION)), (fairface.FairFace, (fairface.TRAIN,))):
        paths = [tmp_path / name for name in names]
        load = spec(folder=str(tmp_path), size=8).load
        assert check(lambda load=load: load({}), paths, tmp_path, text=False) > MUTANTS / 4
    photograph = [tmp_path / "train/3.jpg"]
    assert check(lambda: load({}), photograph, tmp_path, text=False) > MUTANTS / 4


def read(tmp_path, content, columns=("a", "b"), **options):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return _reading.read(path, columns, **options)


def test_a_table_is_read_with_the_line_of_each_row(tmp_path):
    table = read(tmp_path, b'a,c,b\n1,"x\ny",u\n\n2.5,z,v\n', quotes=True)
    assert table.lines.tolist() == [3, 5]
    assert table.real("a", 0, 9).tolist() == [1.0, 2.5]
    assert table.words("b", ["u", "v"]).tolist() == ["u", "v"]
    with pytest.raises(DataError, match=r"table.csv, line 5: a is '2.5'; it must be a whole number from 0 to 9$"):
        table.whole("a", 0, 9)
    with pytest.raises(DataError, match=r"table.csv, line 5: b is 'v'; it must be one of 'u'$"):
        table.words("b", ["u"])


def test_numbers_are_integers_if_all_are_written_so_and_missing_ones_are_named(tmp_path):
    table = read(tmp_path, b"a,b\n1,2\n3,?\n")
    assert (table.real("a", 0, 3).dtype, table.whole("a", 0, 3).tolist()) == (np.int64, [1, 3])
    np.testing.assert_array_equal(table.whole("b", 0, 3, missing="?"), [2, np.nan])
    with pytest.raises(DataError, match=r"line 3: b is '\?'; it must be a number from 0 to 3$"):
        table.real("b", 0, 3)
    with pytest.raises(DataError, match=r"line 3: a is '3'; it must be a whole number from 0 to 2$"):
        table.whole("a", 0, 2)


@pytest.mark.parametrize("text", ["1_0", "+1", " 1", "٣", "nan", "1e5", "0x1", "9" * 5000])
def test_what_only_python_calls_a_number_is_refused(text, tmp_path):
    table = read(tmp_path, f"a,b\n{text},1\n".encode())
    with pytest.raises(DataError, match="line 2: a is "):
        table.real("a", 0, 1e30)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: no column a, b; this is a different file or version"),
        (b"a,b\n", "line 2: the file ends without a row"),
        (b"a,c\n1,2\n", "line 1: no column b"),
        (b"a,b\n1,2\n3\n", "line 3: the number of fields is 1, not 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: the number of fields is 3, not 2"),
        (b"a,b\n1,2\n3,\xff\n", "line 3: not text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1: not text in UTF-8"),
        (b"a,b\n1," + b"x" * 200_000, r"line 2: field larger than field limit"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(content, message, tmp_path):
    with pytest.raises(DataError, match=f"table.csv, {message}"):
        read(tmp_path, content)


def test_a_byte_order_mark_and_a_comment_are_no_values(tmp_path):
    table = read(tmp_path, b"\xef\xbb\xbf1,2\n|note\n3,4\n", names=["a", "b"], comment="|note")
    assert table.whole("a", 0, 9).tolist() == [1, 3]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv: not a table of text in UTF-8 \(.*No such file"):
        _reading.read(tmp_path / "nowhere.csv", ["a"])

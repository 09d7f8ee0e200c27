"""Files of predictions: which targets are one, and how they are read or refused."""

from __future__ import annotations

import pytest

from fairbench.data.predictions_file import names_a_file, read_table
from fairbench.errors import DataError


def test_what_names_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "decisions").write_text("x")
    (tmp_path / "mlp").mkdir()
    assert [names_a_file(name) for name in ("decisions", "no.csv", "a/no.PARQUET", "no.tsv", "mlp", "mlp[lr=.1]")] == [
        *[True] * 4,
        *[False] * 2,
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "p.csv is empty, or its first line is"),
        (b"sex,p\n", "p.csv: there are column names but no rows"),
        (b"sex,p,p\nf,1,1\n", "p.csv has two columns named 'p'; rename one"),
        (b"sex,p\nf,1\nm,1,1\n", "p.csv: line 3 has 3 values and the first line names 2 columns"),
        (b"sex,p\n\xff,1\n", "p.csv is not UTF-8 (byte 6); save it as CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(tmp_path, content, message):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_table(tmp_path / "p.csv", "p.csv")
    assert message in str(refused.value)


def test_a_file_that_is_not_there_is_refused_with_its_path(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: cannot be read \(No such file or directory\)"):
        read_table(tmp_path / "no.csv", "no.csv")

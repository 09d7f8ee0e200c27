"""Student performance: pupils of two Portuguese schools, and whether they pass mathematics or Portuguese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbench.api import Archive, DataFile, Dataset, DatasetSpec, hookimpl, parameter
from fairbench_datasets import _reading

ARCHIVE = "https://archive.ics.uci.edu/ml/machine-learning-databases/00320/student.zip"
ARCHIVE_SHA256 = "4f671ae4598c20bb4e64de0f65931c98a609a52e383604e2601bd8f7e3822427"
MATHEMATICS = DataFile(
    path="student/student-mat.csv",
    sha256="e47f9ee225e1ee6e69b7564e6dac7123e80b8486677fe111f351964cef5dec80",
    archive=Archive(ARCHIVE, "student-mat.csv", ARCHIVE_SHA256),
    bytes=56993,
)
PORTUGUESE = DataFile(
    path="student/student-por.csv",
    sha256="a7594a11d7771c0efe1a740824e0e833da9c4cad07c39a9766a874575563fb3f",
    archive=Archive(ARCHIVE, "student-por.csv", ARCHIVE_SHA256),
    bytes=93220,
)
JOBS, YES_OR_NO = "at_home health other services teacher", "no yes"
WORDS = {
    "school": "GP MS",
    "sex": "F M",
    "address": "R U",
    "famsize": "GT3 LE3",
    "Pstatus": "A T",
    "Mjob": JOBS,
    "Fjob": JOBS,
    "reason": "course home other reputation",
    "guardian": "father mother other",
    "schoolsup": YES_OR_NO,
    "famsup": YES_OR_NO,
    "paid": YES_OR_NO,
    "activities": YES_OR_NO,
    "nursery": YES_OR_NO,
    "higher": YES_OR_NO,
    "internet": YES_OR_NO,
    "romantic": YES_OR_NO,
}
NUMBERS = {
    "age": (10, 30),
    "Medu": (0, 4),
    "Fedu": (0, 4),
    "traveltime": (1, 4),
    "studytime": (1, 4),
    "failures": (0, 4),
    **dict.fromkeys(("famrel", "freetime", "goout", "Dalc", "Walc", "health"), (1, 5)),
    "absences": (0, 365),
    "G1": (0, 20),
    "G2": (0, 20),
    "G3": (0, 20),
}
COLUMNS = [
    *("school", "sex", "age", "address", "famsize", "Pstatus", "Medu", "Fedu", "Mjob", "Fjob", "reason", "guardian"),
    *("traveltime", "studytime", "failures", "schoolsup", "famsup", "paid", "activities", "nursery", "higher"),
    *("internet", "romantic", "famrel", "freetime", "goout", "Dalc", "Walc", "health", "absences", "G1", "G2", "G3"),
]
EARLIER, PASSED = ["G1", "G2"], 10
LESS_OFTEN = {"mathematics": "Female", "portuguese": "Male"}  # the sex that passes less often is protected
ADULT, YOUNGER = "18 or older", "under 18"


@dataclass(frozen=True)
class Student:
    """A final grade of at least 10 of 20 (y = 1, favourable) of 395 pupils in mathematics or 649 in Portuguese.

    The groups are sex (protected are those who pass less often: girls in mathematics, boys in Portuguese) or age (18 or
    older is protected). The grades of the first two terms of the same course are left out unless they are asked for:
    with them the task is nearly given away.

    References:
        Cortez and Silva (2008), Using data mining to predict secondary school student performance, FUBUTEC.
    """

    name = "student"
    files = (MATHEMATICS, PORTUGUESE)
    licence = "CC BY 4.0"
    sensitive_features = ("sex", "age")
    course: str = parameter("mathematics", "whose grade is predicted", choices=tuple(LESS_OFTEN))
    earlier_grades: bool = parameter(False, "keep the grades of the first two terms, G1 and G2, as features")

    def load(self, files: Mapping[str, Path]) -> Dataset:
        """Read the table of one course.

        Raises:
            DataError: a line does not fit the published format.
        """
        import pandas as pd

        file = MATHEMATICS if self.course == "mathematics" else PORTUGUESE
        table = _reading.read(files[file.path], COLUMNS, separator=";", quotes=True)
        columns = {name: table.words(name, words.split()) for name, words in WORDS.items()}
        columns.update({name: table.whole(name, *limits) for name, limits in NUMBERS.items()})
        rows = pd.DataFrame(columns)[COLUMNS]
        notes = [
            f"{(rows['G3'] == 0).sum()} pupils have a final grade of 0, mostly because they dropped out.",
            "The files of the two courses share pupils (382 by the publishers' count): results on both are not "
            "independent.",
        ]
        if self.earlier_grades:
            notes.append("Earlier grades of the same course are among the features and nearly give the label away.")
        return Dataset(
            name=self.name,
            X=rows.drop(columns=["G3"] if self.earlier_grades else ["G3", *EARLIER]),
            y=(rows["G3"] >= PASSED).to_numpy(),
            sensitive_features=pd.DataFrame(
                {
                    "sex": np.where(rows["sex"] == "F", "Female", "Male"),
                    "age": np.where(rows["age"] >= 18, ADULT, YOUNGER),
                }
            ),
            protected_group={"sex": LESS_OFTEN[self.course], "age": ADULT},
            sensitive_columns={"sex": ("sex",), "age": ("age",)},
            notes=tuple(notes),
        )


@hookimpl
def fairbench_datasets() -> list[type[DatasetSpec]]:
    """Return the dataset."""
    return [Student]

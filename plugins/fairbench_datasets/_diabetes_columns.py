"""Columns of the table of hospital stays of diabetic patients: which values they can hold, and how they are read."""

from __future__ import annotations

import re
from typing import Optional

UNKNOWN = "unknown"
RACES = ("AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other")
DECADES = tuple(f"[{age}-{age + 10})" for age in range(0, 100, 10))
CHANGES = ("Down", "No", "Steady", "Up")
MEDICINES = (
    *("metformin", "repaglinide", "nateglinide", "chlorpropamide", "glimepiride", "acetohexamide", "glipizide"),
    *("glyburide", "tolbutamide", "pioglitazone", "rosiglitazone", "acarbose", "miglitol", "troglitazone"),
    *("tolazamide", "examide", "citoglipton", "insulin", "glyburide-metformin", "glipizide-metformin"),
    *("glimepiride-pioglitazone", "metformin-rosiglitazone", "metformin-pioglitazone"),
)
WORDS = {
    "gender": ("Female", "Male", "Unknown/Invalid"),
    "age": DECADES,
    "max_glu_serum": ("None", "Norm", ">200", ">300"),
    "A1Cresult": ("None", "Norm", ">7", ">8"),
    **dict.fromkeys(MEDICINES, CHANGES),
    "change": ("Ch", "No"),
    "diabetesMed": ("No", "Yes"),
    "readmitted": ("<30", ">30", "NO"),
}
NUMBERS = {
    "time_in_hospital": (1, 14),
    "num_lab_procedures": (0, 1000),
    "num_procedures": (0, 100),
    "num_medications": (0, 1000),
    "number_outpatient": (0, 1000),
    "number_emergency": (0, 1000),
    "number_inpatient": (0, 1000),
    "number_diagnoses": (0, 100),
}
CODES = {"admission_type_id": 8, "discharge_disposition_id": 30, "admission_source_id": 26}  # from 1
NAMES = ("payer_code", "medical_specialty")
DIAGNOSES = ("diag_1", "diag_2", "diag_3")
FEATURES = [
    *("race", "gender", "age", *CODES, "time_in_hospital", *NAMES, "num_lab_procedures", "num_procedures"),
    *("num_medications", "number_outpatient", "number_emergency", "number_inpatient", *DIAGNOSES, "number_diagnoses"),
    *("max_glu_serum", "A1Cresult", *MEDICINES, "change", "diabetesMed"),
]
NAME = re.compile(r"[A-Za-z&/-]{1,60}")
DIAGNOSIS = re.compile(r"([0-9]{1,3})(\.[0-9]{1,2})?|[EV][0-9]{1,3}(\.[0-9]{1,2})?")
CHAPTERS: dict[str, tuple[range, Optional[int]]] = {  # codes of ICD-9, and of the sign or symptom that goes with them
    "circulatory": (range(390, 460), 785),
    "respiratory": (range(460, 520), 786),
    "digestive": (range(520, 580), 787),
    "diabetes": (range(250, 251), None),
    "injury": (range(800, 1000), None),
    "musculoskeletal": (range(710, 740), None),
    "genitourinary": (range(580, 630), 788),
    "neoplasms": (range(140, 240), None),
}


def name(text: str) -> str:
    """Return a name, or ``unknown``.

    Raises:
        ValueError: it is neither a name nor ``?``.
    """
    if text == "?":
        return UNKNOWN
    if not NAME.fullmatch(text):
        raise ValueError(text)
    return text


def diagnosis(text: str) -> str:
    """Return the kind of disease that a code of ICD-9 stands for, or ``unknown``.

    Raises:
        ValueError: it is neither a code nor ``?``.
    """
    if text == "?":
        return UNKNOWN
    found = DIAGNOSIS.fullmatch(text)
    if not found:
        raise ValueError(text)
    number = int(found[1] or 0)  # codes with a letter are other causes
    return next((kind for kind, (codes, sign) in CHAPTERS.items() if number in codes or number == sign), "other")

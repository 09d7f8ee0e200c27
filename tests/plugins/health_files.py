"""Small tables of the shape of the Heritage Health Prize's, made here; the tests beside import this by its name."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from fairbench_datasets.health import Health

from fairbench.api import DataFile

CLAIM_HEADER = (
    "MemberID,ProviderID,Vendor,PCP,Year,Specialty,PlaceSvc,PayDelay,LengthOfStay,DSFS,PrimaryConditionGroup,"
    "CharlsonIndex,ProcedureGroup,SupLOS"
)
CLAIM_COLUMNS = CLAIM_HEADER.split(",")
BANDS = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+", ""]
DAYS = ["1 day", *(f"{days} days" for days in range(2, 7))]
STAYS = ["", "", "", *DAYS, "1- 2 weeks", "2- 4 weeks", "4- 8 weeks", "26+ weeks"]
MONTHS = ["", "0- 1 month", *(f"{month - 1}-{month:2d} months" for month in range(2, 13))]
SPECIALTIES = ["Internal", "Surgery", "Laboratory", ""]
PROCEDURES = ["EM", "SUS", "ANES", "MED", "RAD", "SCS", ""]


def make_tables(n_members: int = 80, seed: int = 0) -> dict[str, list[dict[str, object]]]:
    """Return rows by file name; some members lack age, sex, claims, drugs or tests of a year."""
    random = np.random.default_rng(seed)

    def pick(values):
        return values[random.integers(len(values))]

    tables = {name: [] for name in ("Claims", "DrugCount", "LabCount", "Members", "Target", "DaysInHospital_Y2")}
    for number in range(n_members):
        member = 17 + 1009 * number
        tables["Members"].append(
            {"MemberID": member, "AgeAtFirstClaim": BANDS[number % 10], "Sex": pick(["F", "M", ""])}
        )
        for year in ("Y1", "Y2", "Y3"):
            for _ in range(random.integers(0, 5)):
                stay = pick(STAYS)
                claim = [
                    *(member, pick([7, 8, 9, ""]), pick([1, 2, ""]), pick([3, ""]), year),
                    *(pick(SPECIALTIES), pick(["Office", "Urgent Care", ""])),
                    *(pick(["0", "28", "161", "162+"]), stay, pick(MONTHS), pick(["MSC2a3", "AMI", "UTI", ""])),
                    *(pick(["0", "0", "0", "1-2", "3-4", "5+"]), pick(PROCEDURES)),
                    int(not stay and random.random() < 0.5),
                ]
                tables["Claims"].append(dict(zip(CLAIM_COLUMNS, claim)))
            for name, values in (("DrugCount", ["1", "3", "7+"]), ("LabCount", ["1", "9", "10+"])):
                for month in range(random.integers(0, 3)):
                    tables[name].append({"MemberID": member, "Year": year, "DSFS": MONTHS[month], name: pick(values)})
        if random.random() < 0.8:
            truncated = int(random.random() < 0.2)
            tables["Target"].append({"MemberID": member, "ClaimsTruncated": truncated, "DaysInHospital": ""})
    tables["DaysInHospital_Y2"].append({"MemberID": 17, "ClaimsTruncated": 0, "DaysInHospital": 3})
    return tables


def write(tables: dict[str, list[dict[str, object]]], folder: Path) -> dict[str, Path]:
    """Write the tables as CSV files below ``folder``; return their paths as ``load`` is given them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return {file.path: folder / Path(file.path).name for file in Health.files}


def pinned(folder: Path) -> tuple[DataFile, ...]:
    """Return the dataset's files with the digests and sizes of those in ``folder``."""
    made = []
    for file in Health.files:
        content = (folder / Path(file.path).name).read_bytes()
        made.append(replace(file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)))
    return tuple(made)

"""The values that the columns of the Heritage Health Prize's files take."""

from __future__ import annotations

PRIMARY_CONDITIONS = tuple(
    """
    AMI APPCHOL ARTHSPIN CANCRA CANCRB CANCRM CATAST CHF COPD FLaELEC FXDISLC GIBLEED GIOBSENT GYNEC1 GYNECA HEART2
    HEART4 HEMTOL HIPFX INFEC4 LIVERDZ METAB1 METAB3 MISCHRT MISCL1 MISCL5 MSC2a3 NEUMENT ODaBNCA PERINTL PERVALV
    PNCRDZ PNEUM PRGNCY RENAL1 RENAL2 RENAL3 RESPR4 ROAMI SEIZURE SEPSIS SKNAUT STROKE TRAUMA UTI
    """.split()  # noqa: SIM905 - a quoted list would be three times as long
)
SPECIALTIES = (
    "Anesthesiology",
    "Diagnostic Imaging",
    "Emergency",
    "General Practice",
    "Internal",
    "Laboratory",
    "Obstetrics and Gynecology",
    "Other",
    "Pathology",
    "Pediatrics",
    "Rehabilitation",
    "Surgery",
)
PROCEDURES = tuple("ANES EM MED PL RAD SAS SCS SDS SEOA SGS SIS SMCD SMS SNS SO SRS SUS".split())  # noqa: SIM905
PLACES = (
    "Ambulance",
    "Home",
    "Independent Lab",
    "Inpatient Hospital",
    "Office",
    "Other",
    "Outpatient Hospital",
    "Urgent Care",
)
GROUPED = {
    "PrimaryConditionGroup": PRIMARY_CONDITIONS,
    "Specialty": SPECIALTIES,
    "ProcedureGroup": PROCEDURES,
    "PlaceSvc": PLACES,
}
"""Columns whose values are counted, each with its values; a missing value is counted as "?"."""

BANDS = (*(f"{start}-{start + 9}" for start in range(0, 80, 10)), "80+")
"""Bands of age at the first claim."""

YEARS = {"Y1": 1, "Y2": 2, "Y3": 3}
MONTHS = {"0- 1 month": 1, **{f"{month - 1}-{month:2d} months": month for month in range(2, 13)}}
STAYS = {
    "1 day": 1,
    **{f"{days} days": days for days in range(2, 7)},
    "1- 2 weeks": 11,
    "2- 4 weeks": 21,
    "4- 8 weeks": 42,
    "26+ weeks": 180,
}
"""Days; midpoints of the ranges, as in the derived table that the fairness papers share."""
CHARLSON = {"0": 0, "1-2": 1, "3-4": 2, "5+": 3}

"""The tables of an audit, as a program reads them."""

from __future__ import annotations

import json

import pytest


def asked(fairbench, *arguments):
    """Return the rows of an audit by table."""
    status, out, err = fairbench("audit", "p.csv", *arguments, "--json")
    assert status == 0, err
    found = {}
    for line in out.splitlines():
        row = json.loads(line, parse_constant=pytest.fail)
        found.setdefault(row.pop("table"), []).append(row)
    return found


def values(rows):
    return {(row["by"], row["category"], row["metric"]): row["value"] for row in rows["metrics"]}

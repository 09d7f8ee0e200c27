"""Claim files: the claims that a paper makes of its own runs, in ``claims.toml`` beside its code.

::

    suite = "suite.toml"                    # what is run, relative to this file; not needed to judge a finished run

    [columns]                               # may be left out; as in published.toml
    women = { metric = "accuracy", group = "female" }

    [claims.fairer]                         # see ``claim_form``
    text = "mba_dp has a smaller difference than mlp at no loss above 1 point."
    metrics = ["demographic_parity_difference"]
    expected = "lower"
    compare = [{ method = "mba_dp", against = "mlp", datasets = "adult" }]
    loss = { accuracy = 0.01 }
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fairbench.analysis.counts import stored_rows
from fairbench.errors import PaperError
from fairbench.papers.checked import read_toml
from fairbench.papers.claim_form import Claim, read_claims
from fairbench.papers.claims import Judgement, judge_rows
from fairbench.papers.columns import Names, read_columns
from fairbench.papers.rows import RunRows
from fairbench.plugins.registry import Registry
from fairbench.records import Results


def suite_path(path: Path) -> Path:
    """Return the path of the suite that the claim file with this ``path`` names.

    Raises:
        PaperError: the file cannot be read, or names no suite.
    """
    suite = read_toml(path, str(path)).get("suite", str, "")
    if not suite.strip():
        raise PaperError(
            f"{path} names no suite to run; add suite = 'suite.toml', or judge a finished run with --run RUN"
        )
    return path.parent / suite


def read_claim_file(path: Path, registry: Registry, run: Optional[Results] = None) -> tuple[Claim, ...]:
    """Return the claims of a claim file.

    Args:
        path: of the file.
        registry: names and parameters are looked up there.
        run: a finished run to be judged, whose methods need not be installed.

    Raises:
        PaperError: the file cannot be read, or a key, a value or a name is wrong; the message says where.
    """
    top = read_toml(path, str(path))
    top.only(["suite", "columns", "claims"])
    used = {record.cell.method.name for record in run.records} if run is not None else set()
    columns = read_columns(top, registry)
    claims = read_claims(top, columns, Names(registry, tuple(sorted(used))))
    if not claims:
        raise PaperError(f"{path} makes no claims; add [claims.NAME] with text, metrics, expected and compare")
    top.get("suite", str, "")  # checks that it is a text
    return claims


def judge_run(claims: Sequence[Claim], results: Results, registry: Registry) -> list[Judgement]:
    """Return each of the ``claims`` judged by the rows of a finished run.

    Args:
        claims: those of a claim file.
        results: the run's.
        registry: completes the parameters that claims leave out.

    Raises:
        StoreError: the store is damaged.
    """
    with stored_rows(results) as stored:
        rows = RunRows(results, stored, registry)
        return [judge_rows(claim, rows) for claim in claims]

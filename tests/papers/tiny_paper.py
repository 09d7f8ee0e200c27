"""A paper as a stranger brings it: one plugin file, one directory."""

from pathlib import Path

from fairbench.api import Evidence, Paper, Undefined, hookimpl


def count(records):
    """Count the records of a table; a made-up test."""
    if not records:
        raise Undefined("nothing to count")
    rows = [{"method_of": name, "cells": str(n)} for name, n in sorted(_counted(records).items())]
    return Evidence(f"{len(records)} cells", ["They were *counted*."], {"Cells": rows})


def _counted(records):
    names = [record.cell.method.name for record in records]
    return {name: names.count(name) for name in names}


@hookimpl
def fairbench_papers():
    """Offer the paper."""
    directory = Path(__file__).with_name("tiny")
    return [Paper("tiny", "A tiny study", "Nobody (2024), Journal of Examples", directory, {"count": count})]

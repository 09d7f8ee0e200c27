"""The command that says, before anything is run, how small a gap a dataset can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fairbench.cli.commands import Command
from fairbench.cli.options import (
    GivenPath,
    complete_choices,
    complete_name,
    data_dir_option,
    examples,
    json_option,
    offline_option,
    plugin_option,
    print_rows,
    say,
)
from fairbench.cli.own import declared_data, own_data_options

if TYPE_CHECKING:
    from fairbench.analysis.power import Detectable, Pair
    from fairbench.analysis.sizes import GroupSizes

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
METRICS = {
    "demographic_parity_difference": "demographic parity",
    "equal_opportunity_difference": "equal opportunity",
    "false_positive_rate_difference": "false positive rate",
    "equalized_odds_difference": "equalized odds",
}
SECOND_ONLY, FIRST_ONLY = "*", "^"  # which group must have the higher rate
NONE, NO_INTERVAL = "none", "-"


def _numbers(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    """Return whole numbers from lists with commas between, without those that occur twice."""
    found: dict[int, None] = {}
    for text in texts:
        numbers = [number.strip() for number in text.split(",")]
        if not all(number.isascii() and number.isdigit() and int(number) for number in numbers):
            message = f"{text!r} is not a list of whole numbers, each at least 1, such as 1,5,10"
            raise click.BadParameter(message, context, parameter)
        found.update(dict.fromkeys(map(int, numbers)))
    return tuple(found)


def _assumed(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """Return rates by name; one without a name stands for those that no other names."""
    from fairbench.errors import did_you_mean

    found: dict[str, float] = {}
    for text in texts:
        name, named, number = map(str.strip, text.rpartition("="))
        if named and name not in RATES:
            message = f"no rate is named {name!r}{did_you_mean(name, RATES)} (rates: {', '.join(RATES)})"
            raise click.BadParameter(message, context, parameter)
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 < value < 1:
            raise click.BadParameter(f"{number!r} is not a number between 0 and 1, such as 0.3", context, parameter)
        if name in found:
            message = f"{text!r}: {name or 'the rate of all three'} is given twice; give it once"
            raise click.BadParameter(message, context, parameter)
        found[name] = value
    others = found.pop("", None)
    return found if others is None else {**dict.fromkeys(RATES, others), **found}


@click.command(
    cls=Command,
    epilog=examples(
        "fairbench power german adult",
        "fairbench power compas --group race,sex --repeats 1,20",
        "fairbench power german --rate 0.8 --rate false_positive_rate=0.5",
        "fairbench power german --measured runs/table1 --method mlp",
        "fairbench power --data loans.csv --label paid --group sex",
    ),
)
@click.argument("datasets", nargs=-1, shell_complete=complete_name("datasets"))
@click.option(
    "--group",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Sensitive attribute, or 'race,sex' for combinations.  [default: each dataset's]",
)
@click.option(
    "--repeats",
    callback=_numbers,
    multiple=True,
    default=["1,5,10"],
    show_default=True,
    metavar="LIST",
    help="Numbers of repeats.",
)
@click.option(
    "--rate",
    "rates",
    callback=_assumed,
    multiple=True,
    metavar="[NAME=]RATE",
    help="Assumed rate over all groups, of all three or of one by name.  [default: the share of y = 1]",
)
@click.option(
    "--measured",
    type=GivenPath(path_type=Path),
    metavar="RUN",
    help="Take the rates that --method has in this run.",
)
@click.option(
    "--method",
    metavar="NAME",
    shell_complete=complete_choices("methods"),
    help="With --measured, the method by name.",
)
@click.option(
    "--different",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="Share of the rows that two methods decide differently.",
)
@own_data_options
@data_dir_option
@offline_option
@json_option
@plugin_option
def power(datasets: Sequence[str], as_json: bool, **options: Any) -> int:
    """Show the smallest gap between groups that DATASETS can show, before anything is run.

    A gap is shown if a test at the 5% level finds it with a chance of 80%: in one test part, or as a mean over several
    repeats, whose splits overlap. The floor is the gap that one test part shows on average if there is none.
    """
    from fairbench.analysis.power import accuracy_view, power_view
    from fairbench.analysis.sizes import measured_rates, planned_sizes
    from fairbench.cli.running import session
    from fairbench.running.rundir import load_results

    if bool(options["measured"]) != bool(options["method"]):
        raise click.UsageError("Give --measured and --method together: the run, and the method whose rates count.")
    own = declared_data(options)
    if own is not None and own.name not in datasets:
        datasets = (*datasets, own.name)
    if not datasets:
        raise click.UsageError("Name at least one of the DATASETS, or give a table of your own with --data.")
    measured = options["measured"] and load_results(options["measured"])
    opened = session(options, options["plugin"], (own,) if own else ())
    shown = False
    for dataset, group, sizes in planned_sizes(opened, datasets, options["group"]):
        rates = dict.fromkeys(RATES, sizes.base_rate)
        if measured:
            rates.update(measured_rates(measured, options["method"], dataset, group))
        rates.update(options["rates"])
        pairs = power_view(sizes, rates, options["repeats"])
        accuracy = accuracy_view(sizes, options["different"], options["repeats"])
        if as_json:
            print_rows(list(_json_rows(dataset, group, sizes, pairs, accuracy)), as_json)
        else:
            say(_title(dataset, group, sizes, blank=shown), err=False)
            print_rows([_row(pair, len(sizes.groups) == 2) for pair in pairs], as_json)
            for sentence in _notes(sizes, pairs, accuracy, options):
                say(sentence, err=False)
        shown = True
    return 0 if shown else 1


def _title(dataset: str, group: str, sizes: GroupSizes, blank: bool) -> str:
    parts = sizes.parts
    test, train = (sum(getattr(part, name) for part in parts) / len(parts) for name in ("test", "train"))
    groups = [
        f"{name} {zeros + ones:,.0f} ({ones:,.0f} with y = 1)" for name, (zeros, ones) in zip(sizes.groups, sizes.rows)
    ]
    title = f"{dataset} by {group}: test parts of {test:,.0f} rows, training parts of {train:,.0f}; {', '.join(groups)}"
    return ("\n" if blank else "") + title + "\n"


def _row(pair: Pair, two_groups: bool) -> dict[str, Any]:
    """Return a line of the table."""
    smallest = {
        "1 test part" if number == 1 else f"{number} repeats": _smallest(found)
        for number, found in pair.smallest.items()
    }
    between = ", ".join(f"{name} ({rows:,})" for name, rows in zip(pair.groups, pair.rows))
    rows = {"rows": " / ".join(map("{:,}".format, pair.rows))} if two_groups else {"between (rows)": between}
    return {
        "gap in": METRICS[pair.metric],
        "lies in": pair.rate.replace("_rate", "").replace("_", " "),
        **rows,
        "rate": f"{pair.pooled:.3f}",
        "floor": f"{pair.floor:.3f}",
        **smallest,
    }


def _smallest(found: Optional[Detectable]) -> str:
    """Return the smallest gap, marked if only one of the groups can have the higher rate."""
    if found is None:
        return NO_INTERVAL
    if found.value is None:
        return NONE
    return f"{found.value:.3f}{SECOND_ONLY if found.up is None else FIRST_ONLY if found.down is None else ''}"


def _notes(
    sizes: GroupSizes, pairs: Sequence[Pair], accuracy: Mapping[int, Optional[float]], options: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the sentences under a table."""
    found = [smallest for pair in pairs for smallest in pair.smallest.values()]
    texts = list(map(_smallest, found))
    yield ""
    known = [
        f"{value:.3f} {'in one test part' if number == 1 else f'over {number} repeats'}"
        for number, value in accuracy.items()
        if value is not None
    ]
    if known:
        share = f"{100 * options['different']:g}%"
        yield f"Accuracy of two methods that decide {share} of the rows differently: {', '.join(known)}."
    if len(sizes.groups) > 2:
        yield (
            "Two lines for a gap: first between the groups for which the smallest one suffices, then between those "
            "that need the largest, which is shown wherever it lies."
        )
    if any(text.endswith(SECOND_ONLY) for text in texts):
        yield f"{SECOND_ONLY} Not reachable upward: shown only if the second group has the higher rate."
    if any(text.endswith(FIRST_ONLY) for text in texts):
        yield f"{FIRST_ONLY} Not reachable downward: shown only if the first group has the higher rate."
    if NONE in texts:
        yield f"{NONE}: no gap is large enough; one of the rates would have to leave the range from 0 to 1."
    if None in found:
        yield f"{NO_INTERVAL}: no interval over repeats is valid; {sizes.correction.reason}."
    if sizes.few:
        yield f"Fewer than 10 rows in a test part: {'; '.join(sizes.few)}."
    if not options["measured"] and len(options["rates"]) < len(RATES):
        yield "A rate that is not given is the share of y = 1; a method's own rates change these numbers (--measured)."


def _json_rows(
    dataset: str, group: str, sizes: GroupSizes, pairs: Sequence[Pair], accuracy: Mapping[int, Optional[float]]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each gap, pair of groups and number of repeats, and for accuracy; None is not reachable."""
    where = {"dataset": dataset, "group": group}
    for pair in pairs:
        for number, found in pair.smallest.items():
            yield {
                **where,
                "metric": pair.metric,
                "rate": pair.rate,
                "pooled": pair.pooled,
                "groups": list(pair.groups),
                "rows": list(pair.rows),
                "floor": pair.floor,
                "repeats": number,
                "smallest": found and found.value,
                "first_higher": found and found.up,
                "second_higher": found and found.down,
                "reason": sizes.correction.reason if found is None else "",
            }
    for number, value in accuracy.items():
        rows = [int(by_label.sum()) for by_label in sizes.rows]
        yield {
            **where,
            "metric": "accuracy",
            "groups": list(sizes.groups),
            "rows": rows,
            "repeats": number,
            "smallest": value,
            "reason": sizes.correction.reason if value is None else "",
        }

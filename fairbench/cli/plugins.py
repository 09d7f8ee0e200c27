"""The command about plugins: which there are, and those that are installed in environments of their own."""

from __future__ import annotations

import click

from fairbench.cli.commands import Group
from fairbench.cli.options import examples, folded, json_option, plugin_option, print_rows, say
from fairbench.version import compiled


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "fairbench plugins",
        "FAIRBENCH_PLUGINS=fairbench_datasets,acme_fair fairbench plugins --json",
        "fairbench plugins install acme-fair --isolated",
    ),
)
@json_option
@plugin_option
@click.pass_context
def plugins(context: click.Context, as_json: bool, plugin: tuple[str, ...]) -> int:
    """List plugins and what they provide; install those that need libraries of their own.

    Without a command, plugins are listed with their versions and distributions, and what is wrong with those that
    cannot be used.
    """
    if context.invoked_subcommand is not None:
        return 0
    from fairbench.plugins.loading import load_plugins

    registry, problems = load_plugins(plugin)
    rows = [
        {
            "plugin": loaded.name,
            "distribution": loaded.distribution,
            "version": loaded.version,
            "brings": [f"{kind}: {', '.join(names)}" for kind, names in loaded.components.items()],
            "problem": f"{loaded.state}: {loaded.problem}" if loaded.problem else "",
        }
        for loaded in registry.plugins
    ]
    if as_json:
        print_rows(rows, as_json)
    else:
        print_rows([{key: row[key] for key in row if key != "problem"} for row in rows if not row["problem"]], as_json)
        how = "compiled" if compiled() else "not compiled and therefore slower: there was no C compiler at installation"
        told = [f"the projection of two groups is {how}", *registry.advice]
        told += [f"plugin {problem} is {problem.state}: {problem.problem}" for problem in problems]
        for sentence in told:
            say(f"\n{folded(sentence)}", err=False)
    for sentence in registry.import_warnings:
        say(f"warning: {sentence}")
    return 1 if any(not problem.unavailable for problem in problems) else 0


@plugins.command(
    epilog=examples(
        "fairbench plugins install acme-fair==1.2 --isolated",
        "fairbench plugins install old_fairlearn.py --isolated --python python3.9",
    )
)
@click.argument("what")
@click.option("--isolated", is_flag=True, help="Install it in a virtual environment of its own.")
@click.option("--upgrade", is_flag=True, help="Replace the environment that there is.  [default: refuse]")
@click.option(
    "--layered",
    is_flag=True,
    help="Take libraries that fit from beside fairbench; only the others are installed.  [default: all are installed]",
)
@click.option("--python", default="", metavar="COMMAND", help="Python of the environment.  [default: fairbench's own]")
def install(what: str, isolated: bool, upgrade: bool, layered: bool, python: str) -> None:
    """Install a plugin in an environment of its own, where its methods run.

    WHAT is a requirement, a folder with a package, a wheel, or a Python file with its requirements in a comment block
    (PEP 723).
    """
    if not isolated:
        raise click.UsageError(
            f"without --isolated a plugin is installed like any package, beside fairbench: pip install {what}\n"
            "Add --isolated if its libraries must not replace fairbench's."
        )
    from fairbench.plugins.isolated.install import Wanted, install

    say(f"installing {what} in an environment of its own; this can take minutes")
    environment, said = install(Wanted(what, python, layered, upgrade))
    for sentence in said:
        say(f"warning: {sentence}")
    names = ", ".join(about["name"] for about in environment.methods)
    say(
        f"{environment.name} {environment.version} on Python {environment.python}, isolated; methods: {names}",
        err=False,
    )


@plugins.command(
    epilog=examples("fairbench plugins remove acme-fair", "fairbench plugins remove old-fairlearn"),
)
@click.argument("name")
def remove(name: str) -> None:
    """Remove an isolated plugin with its environment.

    Finished runs keep their results.
    """
    from fairbench.plugins.isolated.install import remove

    remove(name)
    say(f"removed the isolated plugin {name}", err=False)

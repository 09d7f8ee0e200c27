"""Sensitive attributes as users name them: one, or several with commas between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairbench.errors import SuiteError, UnknownName


def check_group_names(groups: Sequence[str], where: str = "") -> None:
    """Refuse an empty name, which would stand for each dataset's own attribute.

    Args:
        groups: attributes, or combinations of them with commas between.
        where: begins the message.

    Raises:
        SuiteError: a name is empty.
    """
    for group in groups:
        if not all(name.strip() for name in str(group).split(",")):
            raise SuiteError(f"{where}group {group!r} has an empty name; leave it out for each dataset's own")


def plain_attributes(group: str) -> str:
    """Return sensitive attributes without the blanks around their names: ``race,sex`` for ``race, sex``."""
    names = [name.strip() for name in group.split(",")]
    if len(names) > 1 and not all(names):
        raise SuiteError(f"group {group!r} has an empty name; write e.g. 'race,sex' for combinations")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SuiteError(f"group {group!r} names {twice!r} twice; name each attribute of a combination once")
    return ",".join(names)


def check_known(groups: Sequence[str], declared: Mapping[str, Sequence[str]]) -> None:
    """Refuse a sensitive attribute that no chosen dataset has; if some have it, the cells of the others are skipped.

    Args:
        groups: attributes, or combinations of them with commas between; an empty one is each dataset's first.
        declared: the attributes of each chosen dataset.

    Raises:
        UnknownName: none of the datasets has it.
    """
    known = {name for names in declared.values() for name in names}
    for name in (name for group in groups if group for name in group.split(",")):
        if name not in known:
            hint = f" (there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known))})"
            raise UnknownName("sensitive attribute of the chosen datasets", name, known, hint)

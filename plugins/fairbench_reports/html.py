"""A run as one page for a browser: a single file that needs no network, and can be read without script too."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from fairbench.api import Report, Results, hookimpl

TEMPLATES = Path(__file__).parent / "_page" / "templates"


def render(results: Results) -> str:
    """Return the page, in ASCII with character references, so that no encoding on the way can spoil it.

    Its policy allows nothing but its own style and script, which are named by their digests.

    Raises:
        StoreError: the run's store is damaged.
    """
    from fairbench_reports._page.contents import contents

    template, style, script = _environment()
    made: str = template.render(**contents(results), style=style, script=script, policy=policy(str(style), str(script)))
    return made.encode("ascii", "xmlcharrefreplace").decode("ascii")


def policy(style: str, script: str) -> str:
    """Return the page's Content-Security-Policy: nothing is loaded, and no other style or script is used."""
    allowed = f"style-src {_digest(style)}; script-src {_digest(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"


@lru_cache(maxsize=1)
def _environment() -> tuple[Any, Any, Any]:
    """Return the template of the page, its style and its script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from fairbench_reports._entries import clean
    from fairbench_reports._table import ALIKE, number
    from fairbench_reports._verdicts import FAINT, HEADINGS

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(clean=clean, number=number, foldable=_foldable)
    environment.globals.update(ALIKE=ALIKE, FAINT=FAINT, VERDICT_HEADINGS=HEADINGS)
    # These two files are the project's own, in ASCII; everything else that enters the page is escaped.
    style, script = (Markup((TEMPLATES / name).read_text(encoding="ascii")) for name in ("page.css", "page.js"))  # noqa: S704
    return environment.get_template("page.html"), style, script


def _foldable(label: str) -> Any:
    """Return a label, escaped, that may be broken after what separates its parts; copied, it is the same text."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([\[,_])", r"\1<wbr>", str(escape(label))))  # noqa: S704


@hookimpl
def fairbench_reports() -> list[Report]:
    """Return the report."""
    return [Report("html", "", render)]

"""Every link in the documents leads to a file, and every anchor to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(path for folder in ("docs", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.md")),
]
CODE = re.compile(r"^ *```.*?^ *```$|``.*?``|`[^`\n]*`", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LINE = re.compile(r"L\d+")  # of source code


def anchors(path):
    """Return the anchors of a document's headings, as GitHub and MyST make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*?) *$", text, flags=re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|\\(?=\W)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(path):
    """Yield the links of a document that lead nowhere."""
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        known = anchors(file) if file.suffix == ".md" and file.is_file() else set()
        if not file.exists() or (
            anchor and anchor not in known and not (file.suffix == ".py" and LINE.fullmatch(anchor))
        ):
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    assert list(broken(document)) == []


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# The `coin`, again\n\n```\n# no heading\n```\n", encoding="utf-8")
    links = [
        "other.md",
        "other.md#the-coin-again",
        "#here",
        "https://example.org/x",
        "other.md#no-heading",
        "#there",
        "no.md",
    ]
    text = "# Here\n\n`[code](nowhere.md)`\n" + "".join(f"[{link}]({link})\n" for link in links)
    (tmp_path / "one.md").write_text(text, encoding="utf-8")
    assert list(broken(tmp_path / "one.md")) == links[-3:]

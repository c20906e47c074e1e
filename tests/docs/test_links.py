"""Every link of the documentation leads to a file of the repository, and to a heading of that file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli_tools import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for folder in ("docs", "configs", "data") for page in (ROOT / folder).rglob("*.md")),
]
BLOCK = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def fragments(page: Path) -> set[str]:
    """The names by which the headings of a page are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text("utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_headings_are_named_as_github_names_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Lines in, lines out\n\n```bash\n# none\n```\n\n## What `nmt config init` decides\n", "utf-8")
    assert fragments(page) == {"lines-in-lines-out", "what-nmt-config-init-decides"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(BLOCK.sub("", page.read_text("utf-8")))
    lost = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere: tests need no network
        path, _, fragment = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        if file.suffix == ".py":
            fragment = ""  # a line: see test_attention.py
        if not file.exists() or (fragment and fragment not in fragments(file)):
            lost.append(link)
    assert not lost

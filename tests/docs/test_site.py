"""The documentation site: its generated reference is complete, and its links are rewritten for the site."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main
import yaml

import documentation
from cli_tools import ROOT
from nmt.cli import app
from nmt.config.introspection import find, walk
from nmt.config.problems import dotted


def commands(command: Any, names: tuple[str, ...] = ("nmt",)) -> dict[str, Any]:
    """Every command by its full name."""
    found = {" ".join(names): command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner.load() if hasattr(inner, "load") else inner, (*names, name))
    return found


def sections(text: str) -> dict[str, str]:
    """The text below each heading."""
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_argument_and_option_is_in_the_reference() -> None:
    written = sections("\n".join(documentation.command_pages()))
    known = commands(typer.main.get_command(app))
    assert len(known) > 15
    assert written.keys() == known.keys()
    for name, command in known.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert all(flag in written[name] for flag in parameter.opts), (name, parameter.opts)


def test_every_key_is_in_the_reference_with_its_default() -> None:
    text = "\n".join(documentation.configuration_page())
    found = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*) \| (.*?) \|$", text, flags=re.MULTILINE)
    rows = {row[0]: row for row in found}
    expected = {
        re.sub(r"\.0\b|\[\d+\]", ".N", dotted(path)): option
        for path, option in walk()
        if option.section is None and not (option.item and option.item.section)
    }
    assert {name.replace(".N.", ".") for name in rows} == {name.replace(".N.", ".") for name in expected}
    assert rows["decoding.beam_size"][3] == "`5`"
    assert "at least 1" in rows["decoding.beam_size"][1]
    assert all(row[2].strip() for row in rows.values()), "each key has a meaning"


def test_links_are_rewritten_for_the_site() -> None:
    text = "[a](docs/guide/install.md#b) [`c`](nmt/api.py) [d](https://e.f) [f](data/README.md)\n```\n[g](h.md)\n```\n"
    assert documentation.relink(text, place="CONTRIBUTING.md", uri="contributing.md", repository=None) == (
        "[a](guide/install.md#b) `c` (`nmt/api.py`) [d](https://e.f) [f](guide/corpora.md)\n```\n[g](h.md)\n```\n"
    )
    linked = documentation.relink(
        "[`c`](../../nmt/api.py#L5)", place="docs/a/b.md", uri="a/b.md", repository="https://x.y/"
    )
    assert linked == "[`c`](https://x.y/blob/main/nmt/api.py#L5)"


@pytest.mark.parametrize("marker", sorted(documentation.GENERATED))
def test_every_marker_is_in_one_page(marker: str) -> None:
    pages = [page for page in (ROOT / "docs").rglob("*.md") if marker in page.read_text("utf-8")]
    assert len(pages) == 1


def test_every_page_is_in_the_navigation() -> None:
    def leaves(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [leaf for inner in (entry.values() if isinstance(entry, dict) else entry) for leaf in leaves(inner)]

    listed = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    written = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert set(listed) == written | set(documentation.PAGES_ELSEWHERE.values())
    assert len(listed) == len(set(listed))


TEXTS = {
    str(page.relative_to(ROOT)): page.read_text("utf-8")
    for page in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "configs").rglob("*.md")),
    )
}


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_are_named_exist(page: str) -> None:
    named = re.findall(r"`((?:nmt|tests|scripts|configs|docs)/[\w./-]+|[a-z_]+/[\w/]+\.py)`", TEXTS[page])
    missing = [name for name in named if not any((folder / name).exists() for folder in (ROOT, ROOT / "nmt"))]
    assert not missing


@pytest.mark.parametrize("page", TEXTS)
def test_keys_that_are_named_exist(page: str) -> None:
    sections = "data|tokenizer|model|training|decoding|evaluation"
    named = re.findall(rf"`((?:{sections})\.[a-z_0-9.N]+?)(?:[=:][^`]*)?`", TEXTS[page])
    unknown = [
        name for name in named if find(tuple(0 if part in ("N", "0") else part for part in name.split("."))) is None
    ]
    assert not unknown


def test_the_design_page_has_every_room() -> None:
    rooms = re.findall(r"^\| `nmt/(\w+)/` \|", TEXTS["docs/concepts/design.md"], flags=re.MULTILINE)
    assert set(rooms) == {path.parent.name for path in (ROOT / "nmt").glob("*/__init__.py")}


def test_the_glossary_has_at_most_ten_words_of_our_own() -> None:
    words = TEXTS["docs/glossary.md"].split("## ")[1]
    assert len(re.findall(r"^\| (?!word |---)", words, flags=re.MULTILINE)) <= 10

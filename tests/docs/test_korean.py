"""The Korean pages have the sections, code, numbers, names, links and pictures of the English pages.

The words of the two languages are not compared. After a change of an English page, the message names the section of the
Korean page to update.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest

import diagrams
from cli_tools import ROOT
from diagrams import PICTURES, TEXT

OTHER_SOURCES = {"docs/ko/index.md": "README.md"}
"""Korean pages with another path than their English page. All others have the path of the English page in docs/ko."""
LEFT_OUT = {"README.md": {"Results"}}
"""Sections of English pages that have no translation."""
ENGLISH_OF = {
    page: OTHER_SOURCES.get(page) or page.replace("docs/ko/", "docs/", 1)
    for page in sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "ko").rglob("*.md"))
}
"""Every Korean page, and its English page."""
KOREAN_OF = {english: page for page, english in ENGLISH_OF.items()} | {"docs/index.md": "docs/ko/index.md"}

FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"#.*|(?<=\"{3}).*?(?=\"{3})")
"""Comments and docstrings, which are in the language of the page."""
EQUATIONS = re.compile(r"(?:^ {4}\S.*\n)+", flags=re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]+`")
NUMBER = re.compile(r"(?<![A-Za-z\d])\d+(?:[.,]\d+)*")
WORD = re.compile(r"[가-힣]+|[A-Za-z]{2,}")
NUMBER_WORDS = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven"}
"""English writes small numbers as words, where Korean may have a digit."""


class Section(NamedTuple):
    """A heading, its level, and the text up to the next heading."""

    level: int
    heading: str
    text: str


class Page(NamedTuple):
    """A page and its path in the repository."""

    path: str
    text: str

    def sections(self) -> list[Section]:
        """Return the sections that both languages have, without the link to the other language."""
        hidden = FENCE.sub(lambda block: re.sub(r"[^\n]", "x", block[0]), self.text)
        headings = list(re.finditer(r"^(#+) (.*)$", hidden, flags=re.MULTILINE))
        ends = [heading.start() for heading in headings[1:]] + [len(self.text)]
        return [
            Section(len(heading[1]), heading[2], self.text[heading.end() : end].replace(self.switch(), "", 1))
            for heading, end in zip(headings, ends, strict=True)
            if heading[2] not in LEFT_OUT.get(self.path, ())
        ]

    def switch(self) -> str:
        """Return the line below the title that links to the other language."""
        name, other = (
            ("English", ENGLISH_OF[self.path]) if self.path in ENGLISH_OF else ("한국어", KOREAN_OF[self.path])
        )
        return f"\n\n[{name}]({posixpath.relpath(other, posixpath.dirname(self.path))})\n"

    def target(self, link: str) -> str:
        """Return where a link leads: the English page, and the position of its section."""
        path, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", link):
            return link
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), path)) if path else self.path
        if fragment and path in {*ENGLISH_OF, *KOREAN_OF}:
            names = [slug(section.heading) for section in read(path).sections()]
            fragment = f"section {names.index(fragment) + 1 if fragment in names else fragment}"
        return f"{ENGLISH_OF.get(path, path)} {fragment}".rstrip()


def read(path: str) -> Page:
    return Page(path, (ROOT / path).read_text("utf-8"))


def slug(heading: str) -> str:
    """Return the name of a heading in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(text: str) -> str:
    """Return a text without code, equations, pictures and the targets of links."""
    for pattern, kept in ((FENCE, ""), (EQUATIONS, ""), (PICTURE, ""), (LINK, r"\1"), (CODE, "")):
        text = pattern.sub(kept, text)
    return text


def blocks(text: str) -> list[str]:
    """Return the kind and the size of each block of a section, in order."""
    text = EQUATIONS.sub("equations\n", FENCE.sub("code", text))
    return [_kind(block) for block in re.split(r"\n\s*\n", text.strip("\n")) if block]


def _kind(block: str) -> str:
    rows = block.splitlines()
    items = sum(re.match(r"(?:-|\d+\.) ", row) is not None for row in rows)
    if block in ("code", "equations"):
        return block
    if rows[0].startswith("|"):
        columns = len(re.findall(r"(?<!\\)\|", rows[0])) - 1
        return f"table of {len(rows)} rows and {columns} columns"
    if items:
        return f"list of {items} items"
    return "picture" if PICTURE.fullmatch(block) else "paragraph"


FACTS: dict[str, Callable[[str, Page], list[str]]] = {
    "blocks": lambda text, page: [f"{count}: {kind}" for count, kind in enumerate(blocks(text), start=1)],
    "code blocks": lambda text, page: [COMMENT.sub("", block) for block in FENCE.findall(text)],
    "symbols of equations": lambda text, page: list(
        re.sub(r"\s", "", WORD.sub("", "".join(EQUATIONS.findall(FENCE.sub("", text)))))
    ),
    "numbers": lambda text, page: NUMBER.findall(prose(text)),
    "names in code font": lambda text, page: CODE.findall(
        LINK.sub(r"\1", FENCE.sub("", text)).replace("`docs/ko/", "`docs/")
    ),
    "links": lambda text, page: [page.target(link) for _, link in LINK.findall(FENCE.sub("", text))],
    "pictures": lambda text, page: [
        page.target(link).replace("/images/ko/", "/images/") for link in PICTURE.findall(text)
    ],
}
"""What both languages have in each section, as a list in any order."""


def differences(english: Page, korean: Page) -> list[str]:
    """Compare a page with its translation, and return a sentence for each section to update."""
    both = english.sections(), korean.sections()
    if [section.level for section in both[0]] != [section.level for section in both[1]]:
        headings = [", ".join(f'"{section.heading}"' for section in sections) for sections in both]
        return [
            f"{korean.path} has other sections than {english.path}. Add, move or remove sections. "
            f"English: {headings[0]}. Korean: {headings[1]}."
        ]
    found = []
    for ours, theirs in zip(*both, strict=True):
        for kind, facts in FACTS.items():
            missing = Counter(facts(ours.text, english))
            missing.subtract(facts(theirs.text, korean))
            if kind == "numbers":
                missing = _without_words(missing, ours.text)
            if any(missing.values()):
                lost = ", ".join(str(fact) for fact, count in missing.items() if count > 0) or "nothing"
                extra = ", ".join(str(fact) for fact, count in missing.items() if count < 0) or "nothing"
                found.append(
                    f'Update the section "{theirs.heading}" of {korean.path} from the section "{ours.heading}" of '
                    f"{english.path}: of the {kind}, {lost} is only in English, and {extra} is only in Korean."
                )
    return found


def _without_words(numbers: Counter[str], english: str) -> Counter[str]:
    """Leave out Korean digits for which the English text has a word."""
    words = set(re.findall(r"[a-z]+", english.lower()))
    return Counter({number: n for number, n in numbers.items() if n > 0 or NUMBER_WORDS.get(number) not in words})


@pytest.mark.parametrize("path", ENGLISH_OF)
def test_a_page_and_its_translation_agree(path: str) -> None:
    found = differences(read(ENGLISH_OF[path]), read(path))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", ENGLISH_OF)
def test_a_page_and_its_translation_link_to_each_other(path: str) -> None:
    for page in (read(path), read(ENGLISH_OF[path])):
        assert page.switch() in page.text, f"Put this line below the title of {page.path}: {page.switch().strip()}"


@pytest.mark.parametrize("path", ENGLISH_OF)
def test_a_korean_page_links_to_korean_pages_and_pictures(path: str) -> None:
    page = read(path)
    for link in re.findall(r"\]\(([^)\s#]+)", FENCE.sub("", page.text.replace(page.switch(), "", 1))):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        korean = KOREAN_OF.get(target) or target.replace("docs/images/", "docs/images/ko/")
        assert korean == target or not (ROOT / korean).is_file(), f"{path}: link to {korean}, not to {target}"


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("ko/")])
def test_a_korean_picture_has_no_english_words(name: str) -> None:
    sentences = (diagrams.SOURCE, diagrams.TARGET, diagrams.READ, diagrams.WRITTEN)
    pieces = (*diagrams.SOURCE_PIECES, *diagrams.TARGET_PIECES)
    long = (diagrams.LONG_SOURCE, diagrams.LONG_REFERENCE, diagrams.LONG_WITHOUT)
    words = [word for sentence in sentences for word in sentence]
    examples = [*words, *pieces, *long, "The dog sleeps", "tanh RNN LSTM"]
    shown, kept = (
        set(re.findall(r"[^\W\d_가-힣]{3,}", " ".join(texts))) for texts in (TEXT.findall(PICTURES[name]()), examples)
    )
    assert shown <= kept, "translate the text in KOREAN in scripts/lib/diagrams.py"


ENGLISH = """# Page

[한국어](../ko/guide/quickstart.md)

Words and `code`.

## One

It took 5.5 minutes, see [the page](../glossary.md#our-own-words).

```bash
nmt info  # 7
```

## Two

    e = s · h         one number

| a | b |
| --- | --- |
| 1 | 2 |
"""
KOREAN = """# 문서

[English](../../guide/quickstart.md)

낱말과 `code`.

## 하나

5.5분이 걸렸습니다. [문서](../glossary.md#nmt에서-쓰는-말)를 보십시오.

```bash
nmt info  # 7
```

## 둘

    e = s · h         숫자 하나

| 가 | 나 |
| --- | --- |
| 1 | 2 |
"""


def toy(text: str) -> list[str]:
    """Compare a changed English page with the Korean page above."""
    return differences(Page("docs/guide/quickstart.md", text), Page("docs/ko/guide/quickstart.md", KOREAN))


def test_other_words_are_no_difference() -> None:
    assert toy(ENGLISH) == []
    assert toy(ENGLISH.replace("Words and", "Other words, and")) == []
    assert toy(ENGLISH.replace("# 7", "# a comment")) == []


def test_a_korean_digit_for_an_english_word_is_no_difference() -> None:
    english, korean = Page("README.md", "# A\n\nTwo cores.\n"), Page("docs/ko/index.md", "# 가\n\n코어 2개.\n")
    assert differences(english, korean) == []
    assert differences(english, korean._replace(text="# 가\n\n코어 3개.\n")) != []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("5.5 minutes", "5.6 minutes", ["One", "하나", "numbers", "5.6 is only in English, and 5.5"]),
        ("`code`", "`codes`", ["Page", "문서", "names"]),
        ("nmt info", "nmt doctor", ["One", "하나", "code blocks", "nmt doctor"]),
        ("s · h", "s · W h", ["Two", "둘", "symbols of equations", "W is only in English"]),
        ("../glossary.md#our-own-words", "corpus.md", ["One", "하나", "links", "docs/guide/corpus.md"]),
        ("#our-own-words", "#the-fields-words", ["One", "하나", "links", "section 3"]),
        ("| 1 | 2 |\n", "| 1 | 2 |\n| c | d |\n", ["Two", "둘", "blocks", "table of 4 rows"]),
        ("Words and `code`.\n", "Words and `code`.\n\nA paragraph.\n", ["Page", "문서", "blocks", "2: paragraph"]),
        ("## Two\n", "![A picture](../images/serve.png)\n\n## Two\n", ["One", "하나", "pictures", "serve.png"]),
        ("## Two\n", "## More\n\n## Two\n", ["sections", '"More"']),
        ("## Two\n", "### Two\n", ["sections", '"Two"']),
    ],
)
def test_a_changed_section_is_named(old: str, new: str, named: list[str]) -> None:
    assert old in ENGLISH
    found = toy(ENGLISH.replace(old, new))
    assert found
    assert any(all(part in sentence for part in named) for sentence in found), found

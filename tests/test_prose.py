"""Words and phrases that no text for users contains, because plain technical English has better ones.

`find_phrases` checks any text. Help texts and error messages can be checked with it too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from cli_tools import ROOT

PHRASES = {
    r"anew": "again",
    r"tells?|told": "print, report, specify",
    r"whatever|whoever": "any, every",
    r"so many|as many \w+ out": "N, one per line",
    r"by (itself|themselves)": "automatically, alone, separately",
    r"likewise": "also",
    r"(go|goes|going|gone|went) on\b(?! (the|a|an) (page|site|list))": "resume, continue",
    r"(stands?|stood)\b(?! for)": "be",
    r"gives?|gave|giving": "return, print, have, produce",
    r"asks?|asked|asking": "request, require",
    r"what \w+ looks? at(?: what)?|looks? at what|what (?:a|the) model looks at": "alignment, attention",
    r"(?:left|leaves?|leaving) (?:\w+ ){0,4}out at random": "dropout",
    r"learn(?:t|s|ed|ing)? by heart|knows? \w+(?: \w+)? by heart": "memorize",
    r"throw-away": "ad-hoc",
    r"(?:is|are|was|were) wanted": "aim, required",
    r"let go of": "delete, release",
    r"(?:there|here) is none": "name the missing thing",
    r"the other way (?:round|around)": "reverse",
    r"in vain": "without success",
}
"""Regular expressions of what is avoided, each between word boundaries and in any case, with plainer words."""

_PATTERNS = {re.compile(rf"\b(?:{phrase})\b", flags=re.IGNORECASE): better for phrase, better in PHRASES.items()}
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`|\]\([^)\n]*\)|https?://\S+", flags=re.MULTILINE | re.DOTALL)


class Found(NamedTuple):
    """A phrase that is avoided: its line from 1, the words, and plainer ones."""

    line: int
    words: str
    better: str


def find_phrases(text: str) -> list[Found]:
    """Find the phrases of `PHRASES` in a text, in order; code blocks, inline code and addresses are skipped.

    A phrase may continue on the next line.
    """
    prose = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    flat = re.sub(r"\n[ \t]*(?:#[ \t]?)?", lambda gap: " " * len(gap[0]), prose)
    found = [
        Found(prose.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), better)
        for pattern, better in _PATTERNS.items()
        for match in pattern.finditer(flat)
    ]
    return sorted(found)


PAGES = [
    *ROOT.glob("*.md"),
    ROOT / "data" / "README.md",
    *(
        page
        for folder, kind in (("docs", "md"), ("configs", "md"), ("configs", "yaml"), (".github", "yml"))
        for page in (ROOT / folder).rglob(f"*.{kind}")
    ),
]


@pytest.mark.parametrize("page", sorted(str(page.relative_to(ROOT)) for page in PAGES))
def test_a_text_for_users_has_no_phrase_that_is_avoided(page: str) -> None:
    assert not find_phrases((ROOT / page).read_text("utf-8"))


def test_the_check_names_line_and_words() -> None:
    assert find_phrases("Plain.\nIt goes\non from there, whatever is said.") == [
        Found(2, "goes on", "resume, continue"),
        Found(3, "whatever", "any, every"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "whatever",
        "Ask for it.",
        "run it anew",
        "leaves a third of it out at random",
        "what it looks at",
        "It stood there",
    ],
)
def test_the_check_finds(text: str) -> None:
    assert find_phrases(text)


@pytest.mark.parametrize(
    "text",
    ["`whatever`", "```text\nShe asks him.\n```", "standard, understand, task", "an X stands for any letter", "given"],
)
def test_the_check_leaves_alone(text: str) -> None:
    assert not find_phrases(text)

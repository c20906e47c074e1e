"""Words and phrases that no text for users contains, because plain technical English has better ones.

`find_phrases` checks any text. Help texts and error messages can be checked with it too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from cli_tools import ROOT, all_commands
from nmt.config.introspection import walk
from nmt.config.problems import dotted

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


# ------------------------------------------------------------------------------------------- help, schema, messages

LOG_METHODS = ("debug", "info", "warning", "error")
MODULES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "nmt").rglob("*.py") if "exercise" not in path.parts)
MAX_WORDS = 25


def help_texts() -> Iterator[tuple[str, str]]:
    """The description of each command and the help of each argument and option, with its place."""
    for name, command in all_commands().items():
        yield f"nmt {name}", f"{command.help or ''}\n\n{command.short_help or ''}"
        for parameter in command.params:
            yield f"nmt {name}: {parameter.name}", parameter.help or ""


def schema_texts() -> Iterator[tuple[str, str]]:
    """The documentation of each option and section of the configuration, with its place."""
    for path, entry in walk():
        yield dotted(path), entry.doc
        if entry.section is not None:
            yield dotted(path), entry.section.__doc__ or ""


def messages(source: str) -> Iterator[tuple[int, str]]:
    """The string literals in `raise` statements and calls of the logger, with their lines. Values become `x`."""
    for node in ast.walk(ast.parse(source)):
        logged = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LOG_METHODS
            and ast.unparse(node.func.value).endswith("logger")
        )
        if (isinstance(node, ast.Raise) and node.exc is not None) or logged:
            yield from _strings(node)


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values]
        yield node.lineno, "".join(parts)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.lineno, node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def long_sentences(text: str) -> list[str]:
    """The sentences of more than `MAX_WORDS` words. An indented paragraph is an example, a citation is one word."""
    prose = "\n\n".join(one for one in text.split("\n\n") if not one.startswith(" "))
    flat = re.sub(r"\([^()]*\d{4}[^()]*\)", "(citation)", " ".join(prose.split()))
    sentences = re.split(r"(?<=[.:!?])\s+", flat)
    return [sentence for sentence in sentences if len(sentence.split()) > MAX_WORDS]


def test_help_is_plain() -> None:
    for place, text in help_texts():
        assert not find_phrases(text), place
        assert ";" not in text, place
        assert not long_sentences(text), place


def test_the_documentation_of_options_is_plain() -> None:
    for place, text in schema_texts():
        assert text.endswith("."), place
        assert not find_phrases(text), place
        assert ";" not in text, place
        assert not long_sentences(text), place


@pytest.mark.parametrize("module", MODULES)
def test_errors_and_log_lines_are_plain(module: str) -> None:
    for line, text in messages((ROOT / module).read_text("utf-8")):
        assert not find_phrases(text), f"{module}:{line}"
        assert "; " not in text, f"{module}:{line}"


def test_messages_are_found() -> None:
    source = (
        "raise UsageError(f'{name} is told' if x else 'likewise')\n"
        "log.logger.warning('%s stands', 'anew')\n"
        "print('whatever')\n"
    )
    assert list(messages(source)) == [(1, "x is told"), (1, "likewise"), (2, "%s stands"), (2, "anew")]


def test_long_sentences_are_found() -> None:
    words = " ".join(["word"] * 25)
    assert long_sentences(f"Short. Also short.\n\n{words}.\n\n  an example {words}") == []
    assert long_sentences(f"{words} (Name et al. 2016).") != []
    assert long_sentences(f"Short. One {words}.") == [f"One {words}."]


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

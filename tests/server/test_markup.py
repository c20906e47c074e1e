from __future__ import annotations

import html
import re
from collections import Counter
from html.parser import HTMLParser

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown import markdown

from cli_tools import ROOT
from nmt.server.markup import Markup, TagRules

TAG = re.compile(r"<[^>]*>")


def upper(line: str) -> str:
    """The line in capitals, with its numbered tags."""
    return "".join(part if TAG.fullmatch(part) else part.upper() for part in re.split(r"(<[0-9]+>)", line))


def translated(markup: str) -> str:
    document = Markup(markup)
    return document.fill([upper(line) for line in document.lines])


CASES = {
    "Hello": "HELLO",
    "<p>Hello <b>big</b> world</p>": "<p>HELLO <b>BIG</b> WORLD</p>",
    '<p>A <a href="x" onclick="go(\'<b>\')">link</a>, <br>a line.</p>': (
        '<p>A <a href="x" onclick="go(\'<b>\')">LINK</a>, <br>A LINE.</p>'
    ),
    "<script>var a = 'text';</script><p>text</p>": "<script>var a = 'text';</script><p>TEXT</p>",
    "<style>p > a { x: y }</style>text": "<style>p > a { x: y }</style>TEXT",
    "Use <code>x < y</code> here": "USE <code>x < y</code> HERE",
    "a &amp; b &lt;i&gt;": "A &amp; B &lt;I&gt;",
    "<!-- a note -->text<!-- end -->": "<!-- a note -->TEXT<!-- end -->",
    '<p translate="no">Name</p><p>text</p>': '<p translate="no">Name</p><p>TEXT</p>',
    'a <span class="notranslate">Name</span> b': 'A <span class="notranslate">Name</span> B',
    "<ul>\n  <li>one</li>\n  <li>two <em>and</em></li>\n</ul>": (
        "<ul>\n  <li>ONE</li>\n  <li>TWO <em>AND</em></li>\n</ul>"
    ),
    "<p>1 < 2 and 3 > 2</p>": "<p>1 &lt; 2 AND 3 &gt; 2</p>",
    "<pre>  kept\n  text</pre>": "<pre>  kept\n  text</pre>",
    "<p>12</p><p>—</p><p> </p>": "<p>12</p><p>—</p><p> </p>",
    "<p>never closed": "<p>NEVER CLOSED",
    "text <script>never closed": "TEXT <script>never closed",
    "<svg><text>a</text></svg><p>b</p>": "<svg><text>a</text></svg><p>B</p>",
    "<pre>a<pre>b</pre>c</pre>d": "<pre>a<pre>b</pre>c</pre>D",
    "x<1>y": "X&lt;1&gt;Y",
    "<p class=notranslate>a</p>b": "<p class=notranslate>a</p>B",
    "<a href=http://example.org/>a</a> <code class=x/>b</code>": (
        "<a href=http://example.org/>A</a> <code class=x/>b</code>"
    ),
    "<title>a <i>b</i> <a x='</title>c": "<title>A <i>B</i> <a x='</title>C",
    '<code>a <b title="</code>">b</b> c</code> d': '<code>a <b title="</code>">b</b> c</code> D',
    "": "",
}


RULES = TagRules(ignored=frozenset({"keep"}), inline=frozenset({"term"}), splitting=frozenset({"b"}))


@pytest.mark.parametrize(
    ("markup", "lines"),
    [
        ("a <keep>name <i>x</i></keep> b", ["a <1> b"]),
        ("<p>a <term>b</term> c</p><b>d</b> e", ["a <1>b<2> c", "d", "e"]),
        ("a <KEEP>name</KEEP> <keep/> b", ["a <1> <2> b"]),
        ("a <keep>never closed", ["a <1>"]),
    ],
)
def test_clients_decide_about_elements(markup: str, lines: list[str]) -> None:
    document = Markup(markup, RULES)
    assert document.lines == lines
    assert document.fill(lines) == markup


@pytest.mark.parametrize("markup", CASES)
def test_only_text_is_translated(markup: str) -> None:
    assert translated(markup) == CASES[markup]


def test_a_translation_cannot_add_markup() -> None:
    document = Markup("<p>a <b>bold</b> text</p>")
    (line,) = document.lines
    evil = line.replace("text", '<script>alert(1)</script><img src=x onerror="a()">&lt;i&gt;')
    result = document.fill([evil])
    assert "<script" not in result
    assert "<img" not in result
    assert html.unescape(TAG.sub("", result)).startswith("a bold")


@pytest.mark.parametrize("change", [lambda line: TAG.sub("", line), lambda line: line + line])
def test_a_line_whose_tags_are_lost_or_doubled_stays(change: object) -> None:
    markup = "<p>a <b>bold</b> text</p>"
    document = Markup(markup)
    assert callable(change)
    assert document.fill([change(line) for line in document.lines]) == markup


def test_elements_may_change_their_order_but_not_their_nesting() -> None:
    document = Markup("<p><i>one</i> <b>two</b></p>")
    (line,) = document.lines
    opening, closing, second, end = re.findall("<[0-9]+>", line)
    assert document.fill([f"{second}2{end} {opening}1{closing}"]) == "<p><b>2</b> <i>1</i></p>"
    assert document.fill([f"{closing}1{opening} {end}2{second}"]) == "<p><i>1</i> <b>2</b></p>"


HOSTILE = [
    '<img src=x alt="<img onerror=a()>"> ',
    "<i to=`<img/src='x'onerror=a()>`> ",
    '<div "=""> ',
    '<img src onerror /" \'"= alt=a()//"> ',
    '<img src=x onerror=a()//"> ',
    "<link rel=x href=data:,*//[\"'`> ",
    "</ x='><script>a b</script>'> ",
    "<? x='><script>a b</script>'> ",
    "<!--><script>a b</script> ",
    "<!-- --!><script>a b</script> ",
    '<title><a x="</title><script>a b = "></script> ',
    "<script/>a b</script> ",
    "<script><!-- <script>a b</script> c d --></script> ",
    "<script>a b</script\x0b> c d</script> ",
    "<script>a b</scripts> c d</script > ",
    "<xmp><a x='</xmp> ",
    "<noscript><p title='</noscript><img src=x onerror=a()>'> ",
    "<iframe><a x='</iframe> ",
    "<plaintext>a</plaintext>b",
    "<p title='a <img src=x onerror=a()>",
    "<p onclick=a<b>",
]
"""Markup that a browser reads in another way than one expects, with the letters a to d in tags and scripts."""


@pytest.mark.parametrize("markup", HOSTILE)
@pytest.mark.parametrize("text", ["Text", "Text <em>text</em>"])
def test_tags_are_what_a_browser_takes_for_tags(markup: str, text: str) -> None:
    capitals = text.replace("Text", "TEXT").replace("text", "TEXT")
    assert translated(f"<p>{text}</p>{markup}") == f"<p>{capitals}</p>{markup}"


ANY_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.DOTALL)


def real_fragments() -> list[str]:
    """The headings, paragraphs, lists, tables and blocks of code of the documentation, as HTML."""
    found: dict[str, None] = {}
    for page in sorted((ROOT / "docs" / "guide").glob("*.md")):
        text = markdown(page.read_text("utf-8"), extensions=["tables", "fenced_code", "attr_list", "sane_lists"])
        found |= dict.fromkeys(re.split(r"\n(?=<(?:p|ul|ol|table|pre|blockquote|h[1-6])\b)", text))
    return [fragment for fragment in found if fragment.count("<") > 2]


def test_tags_of_real_fragments_survive_byte_for_byte() -> None:
    fragments = real_fragments()
    assert len(fragments) >= 200
    changed = 0
    for fragment in fragments:
        result = translated(fragment)
        assert ANY_TAG.findall(result) == ANY_TAG.findall(fragment)
        for raw in re.findall(r"<(?:code|pre)\b.*?</(?:code|pre)>", fragment, re.DOTALL):
            assert raw in result
        changed += result != fragment
    assert changed > 150


def test_a_model_keeps_the_tags_of_real_fragments(http: httpx.Client) -> None:
    fragments = [fragment for fragment in real_fragments() if len(fragment) < 400][:80]
    assert len(fragments) == 80
    body = {"source": "en", "target": "de", "format": "html"}
    results = [
        text
        for start in range(0, len(fragments), 50)
        for text in http.post("/translate", json={**body, "q": fragments[start : start + 50]}).json()["translatedText"]
    ]
    for fragment, result in zip(fragments, results, strict=True):
        assert Counter(ANY_TAG.findall(result)) == Counter(ANY_TAG.findall(fragment))
        assert sorted(map(str, Structure(result).found)) == sorted(map(str, Structure(fragment).found))


BROKEN = ["<a ", "<a b", "<a b='", "<!--", "</", "<code>", "<script><!--", "<title>", "<b>", "</b>", "<br>", "a<b>"]


@pytest.mark.parametrize("part", BROKEN)
def test_many_broken_tags_are_accepted(part: str) -> None:
    for markup in (part * 12_000 + "text", "text" + part * 12_000, "<b>" + part * 12_000 + "</b>"):
        document = Markup(markup)
        assert document.fill(document.lines) == markup


class Structure(HTMLParser):
    """The tags and attributes of a document, in order."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[object] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)


FRAGMENTS = st.recursive(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>&"), max_size=12).map(html.escape),
    lambda inner: st.builds(
        lambda name, attribute, parts: f"<{name}{attribute}>{''.join(parts)}</{name}>",
        st.sampled_from(["p", "b", "i", "a", "span", "div", "li", "code", "script", "em"]),
        st.sampled_from(["", ' href="a>b"', " class='x y'", " hidden", ' title="&lt;b&gt;"', ' translate="no"']),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(FRAGMENTS)
def test_tags_and_attributes_survive(markup: str) -> None:
    assert Structure(translated(markup)).found == Structure(markup).found


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=80), st.text("<>/ab &;\"'=!-", max_size=60)))
def test_broken_markup_is_accepted(text: str) -> None:
    document = Markup(text)
    result = document.fill(document.lines)
    assert "".join(html.unescape(result).split()) == "".join(html.unescape(text).split())

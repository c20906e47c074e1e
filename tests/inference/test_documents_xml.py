"""XLIFF and TMX files: only translations change."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nmt.errors import DataError
from upper_translator import translate, translated

XLIFF = """<?xml version='1.0' encoding="utf-8"?>
<!-- a comment with <source>x</source> -->
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
  <file original='a &amp; b' source-language="en" target-language="de" datatype="plaintext"><body>
    <group><group>
      <trans-unit id="1" >
        <source>Hello <g id="1">big &lt;b&gt; <x id="2"/>world</g> &amp; all</source>
        <note>kept</note>
      </trans-unit>
      <trans-unit id="2"><source><![CDATA[A <b>bold</b> word]]></source><target/></trans-unit>
    </group></group>
    <trans-unit id="3"><source>Done</source><target state="final">Fertig</target></trans-unit>
    <trans-unit id="4" translate="no"><source>Name</source></trans-unit>
    <trans-unit id="5"><source>Draft</source><target state="needs-review-translation">Entwurf</target></trans-unit>
    <trans-unit id="6"><source>Copy</source><target state="new" xml:lang="de">Copy</target>
      <alt-trans><source>Other</source><target/></alt-trans></trans-unit>
    <trans-unit id="7"><source>Click <bpt id="1">&lt;a&gt;</bpt>here<ept id="1">&lt;/a&gt;</ept>
      now</source></trans-unit>
    <trans-unit id="8" xml:space="preserve"><source> first line
second line </source></trans-unit>
    <trans-unit id="9"><source>  </source></trans-unit>
  </body></file>
</xliff>"""

FILLED = (
    (
        "&amp; all</source>\n",
        '&amp; all</source>\n        <target>HELLO <g id="1">BIG &lt;b&gt; <x id="2"/>WORLD</g> &amp; ALL</target>\n',
    ),
    (
        "<target/></trans-unit>\n    </group>",
        "<target>A &lt;b&gt;BOLD&lt;/b&gt; WORD</target></trans-unit>\n    </group>",
    ),
    ('xml:lang="de">Copy<', 'xml:lang="de">COPY<'),
    (
        "      now</source>",
        '      now</source><target>CLICK <bpt id="1">&lt;a&gt;</bpt>HERE<ept id="1">&lt;/a&gt;</ept> NOW</target>',
    ),
    ("second line </source>", "second line </source><target> FIRST LINE\nSECOND LINE </target>"),
)

XLIFF_2 = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en">
 <file id="f">
  <unit id="1">
   <originalData><data id="d1">&lt;br/&gt;</data></originalData>
   <segment>
    <source>One <pc id="1">two</pc> <ph id="2" dataRef="d1"/> three.</source>
   </segment>
   <ignorable><source> </source></ignorable>
   <segment state="initial"><source>Four <mrk id="m" translate="no">five</mrk>.</source><target></target></segment>
  </unit>
  <unit id="2" translate="no"><segment><source>Six</source></segment></unit>
 </file>
</xliff>
"""

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header srclang="en-US" datatype="plaintext"/>
  <body>
    <tu tuid="1">
      <tuv xml:lang="en-US">
        <seg>A <hi>red</hi> dog<ph x="1">&lt;br&gt;</ph></seg>
      </tuv>
      <tuv xml:lang="fr"><seg>Un chien</seg></tuv>
    </tu>
    <tu><tuv xml:lang="en-US"><seg>Two</seg></tuv><tuv xml:lang="de-AT"><seg/></tuv></tu>
    <tu><tuv xml:lang="en-US"><seg>Three</seg></tuv><tuv xml:lang="de-AT"><seg>Drei</seg></tuv></tu>
    <tu><tuv xml:lang="fr"><seg>Quatre</seg></tuv></tu>
  </body>
</tmx>
"""


def replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_xliff_1(tmp_path: Path) -> None:
    result, document = translate(tmp_path, "a.xlf", XLIFF)
    assert result.decode() == replaced(XLIFF, FILLED)
    counts = document.counts
    assert (counts.missing, counts.unfinished, counts.finished, counts.excluded) == (5, 1, 1, 2)
    ElementTree.fromstring(result)


def test_xliff_1_unfinished_and_all(tmp_path: Path) -> None:
    assert ">DRAFT</target>" in translated(tmp_path, "a.xlf", XLIFF, fill="unfinished")
    assert ">Fertig</target>" in translated(tmp_path, "a.xlf", XLIFF, fill="unfinished")
    everything = translated(tmp_path, "a.xlf", XLIFF, fill="all")
    assert '<target state="final">DONE</target>' in everything
    assert "NAME" not in everything


MARKS = 'state="needs-review-translation" state-qualifier="leveraged-mt"'


def test_filled_targets_of_xliff_1_can_be_marked(tmp_path: Path) -> None:
    marked = [(old, re.sub(r"<target>", f"<target {MARKS}>", new)) for old, new in FILLED]
    marked[2] = (f'<target {MARKS.split()[0]} xml:lang="de" {MARKS.split()[1]}>COPY<', "")
    expected = replaced(XLIFF, (*FILLED[:2], *FILLED[3:]))
    expected = re.sub(r"<target>(?=[A-Z ]{2})", f"<target {MARKS}>", expected)
    expected = expected.replace('<target state="new" xml:lang="de">Copy<', marked[2][0])
    result, document = translate(tmp_path, "a.xlf", XLIFF, review=True)
    assert result.decode() == expected
    assert translate(tmp_path, "a.xlf", result, review=True)[0] == result
    again = translate(tmp_path, "a.xlf", result)[1].counts
    assert (again.missing, again.unfinished) == (0, document.counts.missing + document.counts.unfinished)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<target/>", f"<target {MARKS}>A</target>"),
        ("<target  />", f"<target {MARKS}>A</target>"),
        (
            "<target state='new' />",
            '<target state="needs-review-translation" state-qualifier="leveraged-mt">A</target>',
        ),
        ('<target\n  x=" state=y "\n></target>', f'<target\n  x=" state=y " {MARKS}\n>A</target>'),
        (
            '<target state-qualifier = "id-match"/>',
            '<target state-qualifier = "leveraged-mt" state="needs-review-translation">A</target>',
        ),
        ("", f"<target {MARKS}>A</target>"),
    ],
)
@pytest.mark.parametrize("approved", ["", " approved='yes'", ' approved = "no"'])
def test_other_attributes_stay(tmp_path: Path, before: str, after: str, approved: str) -> None:
    unit = '<trans-unit id="1"{} z="é">\n<source>a</source>{}\n</trans-unit>'
    text = f'<xliff version="1.2"><file><body>\n{unit}\n</body></file></xliff>'
    result, _ = translate(tmp_path, "a.xlf", text.format(approved, before), review=True)
    expected = text.format(approved.replace("'yes'", '"no"'), after)
    assert result.decode().replace("\n<target", "<target") == expected.replace("\n<target", "<target")


def test_filled_segments_of_xliff_2_can_be_marked(tmp_path: Path) -> None:
    result, _ = translate(tmp_path, "a.xlf", XLIFF_2, review=True)
    expected = translated(tmp_path, "a.xlf", XLIFF_2)
    marks = 'state="translated" subState="nmt:machine-translation"'
    expected = expected.replace("<segment>", f"<segment {marks}>").replace(
        '<segment state="initial">', f"<segment {marks}>"
    )
    expected = expected.replace(f"<segment {marks}><source>Six", "<segment><source>Six")
    assert result.decode() == expected
    assert translate(tmp_path, "a.xlf", result, review=True)[0] == result


def test_a_filled_file_stays_the_same(tmp_path: Path) -> None:
    for name, text in (("a.xlf", XLIFF), ("b.xliff", XLIFF_2), ("c.tmx", TMX)):
        once, _ = translate(tmp_path, name, text)
        filled = once.replace(b'state="new"', b'state="translated"')  # states stay, and this one means untranslated
        assert translate(tmp_path, name, filled)[0] == filled


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-be", b""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_stay(tmp_path: Path, encoding: str, mark: bytes, end: str) -> None:
    for name, text in (("a.xlf", XLIFF), ("c.tmx", TMX)):
        text = text.replace("dog", "dög").replace("big", "bïg 😀")
        expected = translated(tmp_path, name, text)
        if encoding != "utf-8":
            text, expected = (re.sub("(?i)(encoding=.)utf-8", r"\1UTF-16", each) for each in (text, expected))
        expected = expected.replace("\n", end)
        # The parser reads each line break inside of a text as one character.
        expected = expected.replace(f"FIRST LINE{end}SECOND", "FIRST LINE\nSECOND")
        result, _ = translate(tmp_path, name, mark + text.replace("\n", end).encode(encoding))
        assert result == mark + expected.encode(encoding)


def test_characters_that_the_encoding_lacks_become_references(tmp_path: Path) -> None:
    text = TMX.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').replace("Two", "ÿ")  # its capital is not in Latin-1
    result, _ = translate(tmp_path, "c.tmx", text.encode("latin-1"))
    assert b"<seg>&#376;</seg>" in result


def test_xliff_2(tmp_path: Path) -> None:
    assert translated(tmp_path, "a.xlf", XLIFF_2) == replaced(
        XLIFF_2,
        (
            (' srcLang="en">', ' srcLang="en" trgLang="de">'),
            (
                "three.</source>\n",
                'three.</source>\n    <target>ONE <pc id="1">TWO</pc> <ph id="2" dataRef="d1"/> THREE.</target>\n',
            ),
            ("<target></target>", '<target>FOUR <mrk id="m" translate="no">five</mrk>.</target>'),
        ),
    )


def test_tmx(tmp_path: Path) -> None:
    result, document = translate(tmp_path, "c.tmx", TMX)
    assert result.decode() == replaced(
        TMX,
        (
            (
                '<seg>Un chien</seg></tuv>\n',
                '<seg>Un chien</seg></tuv>\n      <tuv xml:lang="de-AT">\n        '
                '<seg>A <hi>RED</hi> DOG<ph x="1">&lt;br&gt;</ph></seg>\n      </tuv>\n',
            ),
            ('<tuv xml:lang="de-AT"><seg/>', '<tuv xml:lang="de-AT"><seg>TWO</seg>'),
        ),
    )  # fmt: skip
    assert (document.counts.missing, document.counts.finished, document.counts.excluded) == (2, 1, 1)
    assert "<seg>THREE</seg>" in translated(tmp_path, "c.tmx", TMX, fill="all")


def test_prefixes_of_namespaces_stay(tmp_path: Path) -> None:
    text = XLIFF.replace("xmlns=", "xmlns:x=")
    for tag in ("xliff", "file", "body", "trans-unit", "source", "group"):
        text = text.replace(f"<{tag}", f"<x:{tag}").replace(f"</{tag}", f"</x:{tag}")
    result = translated(tmp_path, "a.xlf", text)
    assert '<x:target>HELLO <g id="1">' in result


def test_entities_of_the_document_are_read(tmp_path: Path) -> None:
    text = TMX.replace('SYSTEM "tmx14.dtd"', '[<!ENTITY co "Company">]').replace("Two", "The &co; &#233;")
    assert "<seg>THE COMPANY É</seg>" in translated(tmp_path, "c.tmx", text)
    with pytest.raises(DataError, match=r"line 1\d.*(undefined entity|not declare)"):
        translate(tmp_path, "c.tmx", TMX.replace("Two", "&other;"))


@pytest.mark.parametrize("name", ["a.xlf", "c.tmx"])
def test_broken_files_are_refused_with_their_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}, line 3, column \d+: broken XML \(mismatched tag\)"):
        translate(tmp_path, name, "<a>\n<b>\n</a>\n")
    with pytest.raises(DataError, match="line 1: <a> is not"):
        translate(tmp_path, name, "<a/>")


def test_hostile_entities_are_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    text = TMX.replace('SYSTEM "tmx14.dtd"', f'[<!ENTITY l0 "ha">{levels}]').replace("Two", "&l9;")
    with pytest.raises(DataError, match="broken XML"):
        translate(tmp_path, "c.tmx", text)


def test_markup_that_a_translation_loses_leaves_the_unit(tmp_path: Path) -> None:
    _, document = translate(tmp_path, "c.tmx", TMX)
    plain = document.fill(["rot", "zwei"]).decode()
    assert plain == TMX.replace('<tuv xml:lang="de-AT"><seg/>', '<tuv xml:lang="de-AT"><seg>zwei</seg>')
    assert document.counts.skipped == 1
    crossed = [line.replace("<g", "<?").replace("</g", "<g").replace("<?", "</g") for line in document.lines]
    assert document.fill(crossed).decode().count("<hi>") == 1


def test_other_languages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlf, line 4.*target.*'de'.*'fr'.*--target-language de"):
        translate(tmp_path, "a.xlf", XLIFF, target="fr")
    with pytest.raises(DataError, match=r"a\.xlf, line 4.*source.*'en'.*'nl'.*--source-language en"):
        translate(tmp_path, "a.xlf", XLIFF, source="nl")
    with pytest.raises(DataError, match=r"no unit has text in 'nl'.*de-AT, en-US, fr.*--source-language"):
        translate(tmp_path, "c.tmx", TMX, source="nl")

"""PO files: only empty translations change."""

from __future__ import annotations

from pathlib import Path

import polib
import pytest

from nmt.errors import DataError
from nmt.inference.documents import open_document
from nmt.inference.documents.document import Fill
from nmt.inference.documents.languages import Languages
from nmt.inference.documents.po import plural_sources
from upper_translator import translate, translated

HEADER = """# Title
msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=n != 1;\\n"
"""
FULL = (
    HEADER
    + """
#. for translators
#: file.c:12 other.c:3
#, c-format
msgid "%d files in <b>%s</b>"
msgstr ""

# done
msgid "Open"
msgstr   "Öffnen"

#, fuzzy
#| msgid "Shut"
msgid "Close"
msgstr "Zu"

msgctxt "menu"
msgid "Open"
msgstr ""

msgid ""
"A long text that is wrapped here "
"and ends with a line break.\\n"
"Second \\"line\\"\\twith a tab.\\n"
msgstr ""

msgid "one file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""

msgid "100 %"
msgstr ""

#~ msgid "Old"
#~ msgstr ""
"""
)


def test_empty_translations_are_filled(tmp_path: Path) -> None:
    expected = FULL.replace('</b>"\nmsgstr ""', '</b>"\nmsgstr "%d FILES IN <b>%s</b>"')
    expected = expected.replace('menu"\nmsgid "Open"\nmsgstr ""', 'menu"\nmsgid "Open"\nmsgstr "OPEN"')
    expected = expected.replace(
        'tab.\\n"\nmsgstr ""\n',
        'tab.\\n"\nmsgstr ""\n"A LONG TEXT THAT IS WRAPPED HERE AND ENDS WITH A LINE BREAK.\\n"\n'
        '"SECOND \\"LINE\\"\\tWITH A TAB.\\n"\n',
    )
    expected = expected.replace('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "ONE FILE"\nmsgstr[1] "%d FILES"')
    expected = expected.replace('"100 %"\nmsgstr ""', '"100 %"\nmsgstr "100 %"')
    assert translated(tmp_path, "m.po", FULL) == expected


def test_only_what_is_chosen_changes(tmp_path: Path) -> None:
    _, missing = translate(tmp_path, "m.po", FULL)
    assert (missing.counts.missing, missing.counts.unfinished, missing.counts.finished) == (5, 1, 1)
    assert missing.counts.excluded == 1  # obsolete
    unfinished = translated(tmp_path, "m.po", FULL, fill="unfinished")
    assert 'msgid "Close"\nmsgstr "CLOSE"' in unfinished
    assert 'msgstr   "Öffnen"' in unfinished
    assert 'msgstr   "OPEN"' in translated(tmp_path, "m.po", FULL, fill="all")


MARKED = (
    (" c-format\n", " fuzzy, c-format\n"),
    ('msgctxt "menu"', '#, fuzzy\nmsgctxt "menu"'),
    ('msgid ""\n"A long', '#, fuzzy\nmsgid ""\n"A long'),
    ('msgid "one file"', '#, fuzzy\nmsgid "one file"'),
    ('msgid "100 %"', '#, fuzzy\nmsgid "100 %"'),
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_filled_translations_can_be_marked_as_fuzzy(tmp_path: Path, end: str) -> None:
    expected = translated(tmp_path, "a.po", FULL)
    for old, new in MARKED:
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    text = FULL.replace("\n", end)
    result, document = translate(tmp_path, "a.po", text, review=True)
    assert result.decode() == expected.replace("\n", end)
    assert {entry.msgid for entry in polib.pofile(result.decode()).fuzzy_entries()} >= {"Close", "one file", "100 %"}
    assert translate(tmp_path, "a.po", result, review=True)[0] == result, "nothing is left to fill"
    assert document.counts.missing == 5


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#,c-format", "#, fuzzy,c-format"),
        ("#,", "#, fuzzy"),
        ("#, c-format\n#, no-wrap", "#, fuzzy, c-format\n#, no-wrap"),
        ("#, no-wrap\n#, fuzzy", "#, no-wrap\n#, fuzzy"),
        ('#| msgid "b"\n#| msgid_plural "c"', '#, fuzzy\n#| msgid "b"\n#| msgid_plural "c"'),
        ("#: x.c:1", "#: x.c:1\n#, fuzzy"),
        ('#, no-wrap\n#| msgid "b"', '#, fuzzy, no-wrap\n#| msgid "b"'),
    ],
)
@pytest.mark.parametrize("fill", ["missing", "all"])
def test_the_flag_fuzzy_joins_other_flags(tmp_path: Path, before: str, after: str, fill: Fill) -> None:
    text = f'{HEADER}\n# done\nmsgid "x"\nmsgstr "y"\n\n{before}\nmsgid "a"\nmsgstr ""\n'
    result, _ = translate(tmp_path, "a.po", text, fill=fill, review=True)
    done = '# done\nmsgid "x"\nmsgstr "y"' if fill == "missing" else '# done\n#, fuzzy\nmsgid "x"\nmsgstr "X"'
    assert result.decode() == f'{HEADER}\n{done}\n\n{after}\nmsgid "a"\nmsgstr "A"\n'
    assert [entry.fuzzy for entry in polib.pofile(result.decode())] == [fill == "all", True]


def test_flags_of_obsolete_messages_are_not_those_of_the_next_message(tmp_path: Path) -> None:
    text = HEADER + '\n#, fuzzy\n#| msgid "x"\n#~ msgid "old"\n#~ msgstr "alt"\nmsgid "a"\nmsgstr "b"\n'
    for fill, counted in (("unfinished", "b"), ("all", "A")):
        result, document = translate(tmp_path, "a.po", text, fill=fill, review=True)  # type: ignore[arg-type]
        assert (document.counts.unfinished, document.counts.finished) == (0, 1)
        added = "#, fuzzy\n" if fill == "all" else ""
        assert result.decode() == text.replace('msgid "a"\nmsgstr "b"', f'{added}msgid "a"\nmsgstr "{counted}"')


def test_a_finished_file_stays_the_same(tmp_path: Path) -> None:
    once, _ = translate(tmp_path, "m.po", FULL)
    again, document = translate(tmp_path, "m.po", once)
    assert again == once
    assert not document.lines


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends_and_byte_order_mark_stay(tmp_path: Path, mark: bytes, end: str) -> None:
    expected = mark + translated(tmp_path, "m.po", FULL).replace("\n", end).encode()
    assert translate(tmp_path, "m.po", mark + FULL.replace("\n", end).encode())[0] == expected


def test_mixed_line_ends_stay(tmp_path: Path) -> None:
    text = HEADER + '\r\nmsgid "a b"\r\nmsgstr ""\r\n\nmsgid "c d"\nmsgstr ""'
    result = translated(tmp_path, "m.po", text)
    assert result == text.replace('b"\r\nmsgstr ""', 'b"\r\nmsgstr "A B"').replace('d"\nmsgstr ""', 'd"\nmsgstr "C D"')


def test_encoding_of_the_header(tmp_path: Path) -> None:
    text = HEADER.replace("UTF-8", "ISO-8859-1") + '\nmsgid "café"\nmsgstr ""\n'
    result, _ = translate(tmp_path, "m.po", text.encode("latin-1"))
    assert result == text.replace('café"\nmsgstr ""', 'café"\nmsgstr "CAFÉ"').encode("latin-1")


def test_characters_that_the_encoding_lacks_are_refused(tmp_path: Path) -> None:
    text = HEADER.replace("UTF-8", "ISO-8859-1") + '\nmsgid "ÿ a"\nmsgstr ""\n'  # its capital is not in ISO-8859-1
    with pytest.raises(DataError, match=r"'Ÿ' \(line 9 of the output\).*iso8859-1.*UTF-8"):
        translate(tmp_path, "m.po", text.encode("latin-1"))


def test_wrong_encoding_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    text = HEADER + '\nmsgid "Une fenêtre déjà fermée à l\'été"\nmsgstr ""\n'
    with pytest.raises(DataError, match=r"line 8: the byte 0xea.*is not utf-8.*--encoding CP1252"):
        translate(tmp_path, "m.po", text.encode("cp1252"))
    assert "FENÊTRE" in translate(tmp_path, "m.po", text.encode("cp1252"), encoding="cp1252")[0].decode("cp1252")


def test_missing_plural_forms_are_added(tmp_path: Path) -> None:
    rule = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"
    text = HEADER.replace("nplurals=2; plural=n != 1;", rule).replace("Language: de", "Language: ru")
    text += '\nmsgid "one file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    result = translated(tmp_path, "m.po", text, target="ru")
    # The first form is used for 1, 21 and 31: it needs the number.
    assert result.endswith('msgstr[0] "%d FILES"\nmsgstr[1] "%d FILES"\nmsgstr[2] "%d FILES"\n')


def test_plural_sources() -> None:
    assert plural_sources("nplurals=1; plural=0;") == [False]
    assert plural_sources("nplurals=2; plural=n>1;") == [True, False]
    assert plural_sources("nplurals=2; plural=n==1 ? 1 : 0;") == [False, True]
    assert plural_sources("") == [True, False]
    assert plural_sources("nplurals=3; plural=EXPRESSION;") == [True, False, False]


def test_long_translations_are_wrapped_as_their_source(tmp_path: Path) -> None:
    words = "word " * 40
    text = HEADER + f'\nmsgid ""\n"{words}"\n"end"\nmsgstr ""\n\nmsgid "{words}"\nmsgstr ""\n'
    result = translated(tmp_path, "m.po", text)
    wrapped, plain = polib.pofile(result)
    assert wrapped.msgstr == wrapped.msgid.upper()
    assert plain.msgstr == plain.msgid.upper()
    assert 'msgstr "WORD' in result
    assert all(len(line) <= 79 for line in result.split('msgstr ""')[2].split("\n\n")[0].splitlines())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ('msgid "a" b"\nmsgstr ""\n', "line 8: broken PO"),
        ('msgid "a\nmsgstr ""\n', "line 8: broken PO"),
        ("nonsense\n", "line 8: broken PO"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path: Path, broken: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        translate(tmp_path, "m.po", HEADER + "\n" + broken)


def test_other_languages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"m\.po, line 2.*'de'.*'fr'.*--target-language de"):
        translate(tmp_path, "m.po", FULL, target="fr")
    translate(tmp_path, "m.po", FULL, target="deu")


def test_a_document_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.inference.documents.MAX_DOCUMENT_BYTES", 1 << 20)
    (tmp_path / "a.po").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="larger than 1 MiB"):
        open_document(tmp_path / "a.po", languages=Languages("en", "de"))

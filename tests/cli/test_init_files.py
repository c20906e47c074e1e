"""`nmt config init`: languages in file names, and text in one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_tools import assert_explained, nmt
from nmt.cli.init.corpus_files import language_of
from nmt.config.load import load_config
from nmt.errors import UsageError


@pytest.mark.parametrize(
    ("source", "target", "languages"),
    [
        ("train.en", "train.de.gz", ("en", "de")),
        ("corpus.en.txt", "corpus.de.txt", ("en", "de")),
        ("train.ko.tok", "train.fr.tok", ("ko", "fr")),
        ("dzo_Tibt", "eng_Latn", ("dzo_Tibt", "eng_Latn")),
        ("X_en.txt", "X_yo.txt", ("en", "yo")),
        ("yue.txt", "en.txt", ("yue", "en")),
        ("EN_volunteers", "TI_volunteers", ("en", "ti")),
        ("news-ref.khm.txt", "news-src.eng.txt", ("khm", "eng")),
        ("p_amh_ea.txt", "p_eng_ea.txt", ("amh", "eng")),
        ("A-ENG.CKB_no_tag.txt", "A-ENG.ENG_no_tag.txt", ("ckb", "eng")),
        ("ba/1.txt", "ru/1.txt", ("ba", "ru")),
        ("wiki.km-en.km", "wiki.km-en.en", ("km", "en")),
    ],
)
def test_language_codes_in_names(source: str, target: str, languages: tuple[str, str]) -> None:
    one, other = Path(source), Path(target)
    assert language_of(one, "source", ["abc"], other=other) == languages[0]
    assert language_of(other, "target", ["abc"], other=one) == languages[1]


def test_a_name_without_a_code_is_refused() -> None:
    with pytest.raises(UsageError, match=r"left\.tok: the name has no language code.*--source-language"):
        language_of(Path("left.tok"), "source", ["abc"], other=Path("right.tok"))


def rows(count: int) -> list[tuple[str, str]]:
    return [(f"The dog number {n} sleeps.", f"Der Hund Nummer {n} schläft.") for n in range(count)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


LANGUAGES = ("--source-language", "en", "--target-language", "de")


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("c.csv", "en,de\n" + "".join(f'"{s}",{t}\n' for s, t in rows(60)), ()),
        ("c.tsv", "".join(f"{s}\t{t}\n" for s, t in rows(60)), ()),
        (
            "d.tsv",
            "".join(f"{n}\t{s}\t{t}\n" for n, (s, t) in enumerate(rows(60))),
            ("--source-field", "2", "--target-field", "3"),
        ),
        ("c.jsonl", "".join(f'{{"a": {{"x": "{s}"}}, "de": "{t}"}}\n' for s, t in rows(60)), ("--source-field", "a.x")),
        (
            "c.tmx",
            "<tmx><body>"
            + "".join(
                f"<tu><tuv lang='en'><seg>{s}</seg></tuv><tuv lang='de'><seg>{t}</seg></tuv></tu>" for s, t in rows(60)
            )
            + "</body></tmx>",
            (),
        ),
    ],
)
def test_text_in_one_file(folder: Path, name: str, content: str, options: tuple[str, ...]) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    outcome = nmt("config", "init", "--corpus", name, *LANGUAGES, *options, "--hold-out", "5", "-o", "my.yaml")
    assert outcome.code == 0, outcome.stderr
    stem = name.partition(".")[0]
    assert (folder / f"{stem}.en").read_text("utf-8").splitlines() == [s for s, _ in rows(60)]
    assert (folder / f"{stem}.de").read_text("utf-8").splitlines() == [t for _, t in rows(60)]
    config = load_config(folder / "my.yaml")
    assert config.data.train[0].source == f"{stem}.train.en"
    again = nmt("config", "init", "--corpus", name, *LANGUAGES, *options)
    assert_explained(again, f"{stem}.en exists already", "--overwrite", codes=(2,))


def test_quotation_marks_of_a_tsv_file(folder: Path) -> None:
    rest = "".join(f"{s}\t{t}\n" for s, t in rows(60))
    (folder / "c.tsv").write_text('English\tGerman\n"Say ""hi"""\t"Sag ""hi"""\n' + rest, encoding="utf-8")
    fields = ("--source-field", "English", "--target-field", "German")
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, *fields, "-o", "my.yaml")
    assert "quotation marks are read as those of CSV" in outcome.stderr
    assert (folder / "c.en").read_text("utf-8").startswith('Say "hi"\nThe dog')
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, "--overwrite", "-o", "my.yaml")
    assert "looks like a header ('English' and 'German')" in outcome.stderr
    assert "quotation marks of CSV, which are read as text" in outcome.stderr


def test_what_a_single_file_requires(folder: Path) -> None:
    (folder / "c.csv").write_text("English,German\na,b\n", encoding="utf-8")
    assert_explained(nmt("config", "init", "--corpus", "c.csv"), "--source-language", codes=(2,))
    assert_explained(nmt("config", "init", "--corpus", "c.csv", *LANGUAGES), "no column en", "1 'English'", codes=(1,))
    assert_explained(nmt("config", "init", "--corpus", "c.doc", *LANGUAGES), "c.doc", ".tmx", codes=(2,))
    both = ("--source", "a.en", "--target", "a.de")
    assert_explained(nmt("config", "init", "--corpus", "c.csv", *both), "--corpus excludes --source", codes=(2,))
    assert_explained(nmt("config", "init", "--source-field", "x", *both), "require --corpus", codes=(2,))
    assert not list(folder.glob("c.en"))


def test_suspicious_text_is_reported(folder: Path) -> None:
    for language, place in (("en", 0), ("de", 1)):
        lines = [f"[22:{n}] {pair[place]}" for n, pair in enumerate(rows(60))]
        (folder / f"verses.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = nmt(
        "config", "init", "--source", "verses.en", "--target", "verses.de", "--hold-out", "5", "-o", "my.yaml"
    )
    assert "verses.en: 100% of the lines begin with a number or an id, such as '[22:0]'" in outcome.stderr
    assert "verses.train.de: 100%" in nmt("config", "check", "my.yaml").stderr

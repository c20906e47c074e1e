"""What is seen in a parallel text: samples, lengths, scripts, repetitions, dirt."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nmt.config.schema import FiltersConfig, PairConfig
from nmt.data import sample as sampling
from nmt.data.preprocess.corpus_stats import CorpusStats, corpus_stats, length_in_words
from nmt.data.sample import Sample, take_sample
from nmt.data.writing_systems import characters_of, language_of_scripts, scripts_of, shared_script
from nmt.errors import DataError


def write(folder: Path, pairs: list[tuple[str, str]]) -> PairConfig:
    files = (folder / "text.a", folder / "text.b")
    for side, file in enumerate(files):
        file.write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8", errors="surrogateescape")
    return PairConfig(source=str(files[0]), target=str(files[1]))


def numbered(count: int) -> list[tuple[str, str]]:
    return [(f"line {number}", f"Zeile {number}") for number in range(count)]


def seen(pairs: list[tuple[str, str]], languages: tuple[str, str] = ("en", "de")) -> CorpusStats:
    sample = Sample(files=("a", "b"), total=len(pairs), duplicates=0.0, pairs=pairs)
    return corpus_stats(sample, source_language=languages[0], target_language=languages[1])


# ----------------------------------------------------------------------------------------------------------- samples


def test_a_small_text_is_kept_whole(tmp_path: Path) -> None:
    pairs = numbered(50)
    sample = take_sample(write(tmp_path, pairs))
    assert (sample.total, sample.pairs, sample.duplicates) == (50, pairs, 0.0)
    assert sample.files == (str(tmp_path / "text.a"), str(tmp_path / "text.b"))
    assert sample.sides() == ([source for source, _ in pairs], [target for _, target in pairs])


@pytest.mark.parametrize("count", [99, 100, 101, 1000, 1601])
def test_of_a_large_text_every_so_many_th_pair_is_kept(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MAX_PAIRS", 100)
    sample = take_sample(write(tmp_path, numbered(count)))
    assert sample.total == count
    assert min(count, 50) <= len(sample.pairs) <= 100
    stride = -(-count // len(sample.pairs))
    assert stride & (stride - 1) == 0, "a power of two"
    assert sample.pairs == numbered(count)[::stride], "evenly from all over it"


def test_long_lines_are_kept_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MAX_CHARACTERS", 10_000)
    pairs = [(f"{number} " + "x" * 200, "y" * 200) for number in range(300)]
    sample = take_sample(write(tmp_path, pairs))
    kept = sum(len(source) + len(target) for source, target in sample.pairs)
    assert 4_000 < kept <= 10_000
    assert sample.total == 300
    assert sample.pairs == pairs[:: 300 // len(sample.pairs) + 1]


@pytest.mark.parametrize("most", [1_000_000, 64])
def test_repeated_pairs_are_counted_in_the_whole_text(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MAX_HASHES", most)
    pairs = [*numbered(3000), *numbered(1000)]
    random.Random(1).shuffle(pairs)
    share = take_sample(write(tmp_path, pairs)).duplicates
    assert share == pytest.approx(0.25, abs=1e-9 if most > 4000 else 0.12)


def test_hashes_are_kept_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MAX_HASHES", 64)
    counts = sampling._RepetitionCounter()
    for source, target in numbered(2000):
        counts.add(source, target)
        assert len(counts._counts) <= 64
    assert counts.repeated() == 0


def test_spaces_make_no_difference_between_pairs_but_sides_do(tmp_path: Path) -> None:
    same = [("a  b", "c"), (" a b ", "c"), ("a\u00a0b", "c")]
    assert take_sample(write(tmp_path, same)).duplicates == pytest.approx(2 / 3)
    other = [("a b", "c"), ("a", "b c"), ("a b", "d"), ("A b", "c")]
    assert take_sample(write(tmp_path, other)).duplicates == 0


def test_blank_lines_are_no_repetitions(tmp_path: Path) -> None:
    pairs = [*numbered(8), ("", ""), ("  ", ""), ("", "\u200b"), *numbered(1)]
    sample = take_sample(write(tmp_path, pairs))
    assert sample.total == 12
    assert sample.duplicates == pytest.approx(1 / 12)


def test_an_empty_text_has_nothing(tmp_path: Path) -> None:
    sample = take_sample(write(tmp_path, []))
    assert (sample.total, sample.pairs, sample.duplicates) == (0, [], 0.0)


def test_texts_of_unequal_length_are_refused(tmp_path: Path) -> None:
    pair = write(tmp_path, numbered(3))
    (tmp_path / "text.b").write_text("one\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has 3 lines, but .* has 1"):
        take_sample(pair)


def test_malformed_lines_are_counted_and_have_no_target(tmp_path: Path) -> None:
    file = tmp_path / "text.tsv"
    file.write_text("a\tb\nno tab\nx\ty\tz\nc\td\n", encoding="utf-8")
    sample = take_sample(PairConfig(tsv=str(file)))
    assert sample.files == (str(file),)
    assert sample.total == 4
    assert sample.pairs == [("a", "b"), ("no tab", ""), ("x\ty\tz", ""), ("c", "d")]


# ----------------------------------------------------------------------------------------------------------- scripts


def shares(text: str) -> dict[str, float]:
    return scripts_of(characters_of([text]))


def test_shares_of_scripts_are_of_the_letters() -> None:
    assert shares("abc, АБВ 1234 !?") == {"Latin": 0.5, "Cyrillic": 0.5}
    assert list(shares("Жa bc")) == ["Latin", "Cyrillic"], "the most frequent first"
    assert shares("漢字 漢字かなカナ") == {"Han": 0.5, "Hiragana": 0.25, "Katakana": 0.25}
    assert shares("12 + 3 = 😀 ً") == {}
    assert shares("") == {}


def test_letters_of_full_and_half_width_are_letters_like_others() -> None:
    assert shares("ABCアイ") == {"Latin": 0.6, "Katakana": 0.4}
    assert shares("\udce4a") == {"Latin": 1.0}, "broken bytes are no letters"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("私は猫が好きです", "ja"),
        ("東京都庁舎展望台へ行く、毎日新聞社です", "ja"),  # more Han than kana
        ("コンピュータ", "ja"),
        ("나는 고양이를 좋아한다", "ko"),
        ("我喜歡貓", "zh"),
        ("我用 Python 编程", None),  # most of the letters are Latin
        ("我们今天去北京看长城 ABC", "zh"),
        ("Η γάτα", "el"),
        ("แมว", "th"),
        ("החתול", "he"),
        ("The cat", None),
        ("Кошка", None),
        ("القط", None),
        ("123", None),
    ],
)
def test_some_scripts_tell_the_language(text: str, language: str | None) -> None:
    assert language_of_scripts(shares(text)) == language


def test_how_much_two_texts_share() -> None:
    assert shared_script(shares("abc"), shares("xyz")) == 1
    assert shared_script(shares("abc"), shares("АБВ")) == 0
    assert shared_script(shares("abcd"), shares("abАБ")) == pytest.approx(0.5)
    assert shared_script(shares("漢字かな"), shares("漢字")) == pytest.approx(0.5)
    assert shared_script({}, shares("a")) == 0


# ------------------------------------------------------------------------------------------------------------ survey


def test_words_types_and_lengths_of_each_side() -> None:
    text = seen([("The cat, the dog.", "Die Katze, der Hund."), ("A cat!", "Eine große Katze!")])
    assert (text.pairs, text.sampled) == (2, 2)
    source, target = text.source, text.target
    assert (source.language, source.words, source.types) == ("en", 6, 4), "the, cat, dog, a: no case, no punctuation"
    assert source.once == pytest.approx(2 / 4)
    assert (source.lengths.median, source.lengths.longest) == (2, 4)
    assert (target.words, target.types) == (7, 6)
    assert source.characters == len(set("Thecat,dog.A!"))
    assert source.scripts == {"Latin": 1.0}
    assert text.filtered == {}
    assert not source.by_character


def test_text_without_spaces_is_counted_in_characters() -> None:
    text = seen([("I see a cat", "我 看见 一只猫"), ("It", "它")], ("en", "zh-CN"))
    assert (text.target.by_character, text.source.by_character) == (True, False)
    assert (text.target.words, text.target.types, text.target.lengths.longest) == (7, 7, 6)
    assert text.source.words == 5
    assert text.ratio == pytest.approx(2, abs=0.1), "8 to 6 and 2 to 1 characters"


def test_what_was_was_sampled_represents_the_whole() -> None:
    sample = Sample(files=("a", "b"), total=1000, duplicates=0.3, pairs=[("one two", "eins zwei drei")] * 10)
    text = corpus_stats(sample, source_language="en", target_language="de")
    assert (text.pairs, text.sampled, text.duplicates) == (1000, 10, 0.3)
    assert (text.source.words, text.target.words) == (2000, 3000)
    assert text.ratio == 1.5


def test_what_is_left_out_and_why() -> None:
    good = [(f"a good line {number}", f"eine gute Zeile {number}") for number in range(12)]
    bad = [
        *[("", "leer"), ("blank", " \u200b"), ("x", "")],
        *[("gr\udcfcn", "grün"), ("broken \ufffd", "kaputt")],
        ("same text", "same text"),
        ("one", "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn"),
        ("word " * 2000, "Wort " * 2000),
    ]
    text = seen([*good, *bad])
    assert text.filtered == {
        "empty": 3 / 20,
        "wrong encoding": 2 / 20,
        "identical sides": 1 / 20,
        "length ratio": 1 / 20,
        "too long": 1 / 20,
    }
    assert "\udcfc" not in characters_of(["gr\udcfcn"])
    assert text.source.types < 30, "what is unreadable says nothing about a language"


def test_nothing_readable_is_no_error() -> None:
    text = seen([("", ""), ("\udcff", "x")])
    assert (text.source.words, text.source.types, text.source.lengths.longest, text.ratio) == (0, 0, 0, 1.0)
    assert sum(text.filtered.values()) == 1


def test_filters_are_wide_enough_for_what_is_usual() -> None:
    assert seen([("a line", "eine Zeile")]).filters == FiltersConfig()
    paragraphs = [("word " * (300 + number), "Wort " * (300 + number)) for number in range(50)]
    text = seen(paragraphs)
    assert length_in_words(text.source) == 349
    assert text.filters.max_words == 698
    assert text.filtered == {}, "nothing that training will not leave out"


def test_rubbish_does_not_open_the_filters() -> None:
    rubbish = [("word", "Wort " * 200)] * 10 + [("word " * 3000, "Wort " * 3000)] * 10
    text = seen([("a good line", "eine gute Zeile")] * 80 + rubbish)
    assert text.filters.max_length_ratio <= 12
    assert text.filters.max_words <= 1000
    assert text.filtered == {"length ratio": 0.1, "too long": 0.1}


def test_by_character_a_word_is_four_characters() -> None:
    text = seen([("猫" * 2000, "cat " * 300)] * 3, ("ja", "en"))
    assert length_in_words(text.source) == 500
    assert text.filters.max_words == 1000
    assert "too long" not in text.filtered


def test_copied_words_are_names_and_numbers() -> None:
    text = seen([("Anna has 3 cats .", "Anna hat 3 Katzen .")])
    assert text.copied == pytest.approx(2 / 4), "punctuation aside"

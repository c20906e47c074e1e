"""Sentences of a line, what is protected through translation, and flags of what is suspicious."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.inference.constraints import SearchJob
from nmt.inference.output.quality_flags import FLAGS, find_flags
from nmt.inference.placeholders import (
    PieceTranslation,
    PlaceholderRestorer,
    ProtectedSpan,
    SourceSegment,
    distribute,
    mask,
    restore,
    visible_length,
)
from nmt.inference.protected_items import find_protected
from nmt.inference.results import Hypothesis, Translation
from nmt.inference.segmentation import split_sentences
from tiny_translator import WORDS, tiny_subword_model, tiny_tokenizers, tiny_translator

# -------------------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith paid 3.14 at 5 p.m. today. He left.", ["Dr. Smith paid 3.14 at 5 p.m. today.", "He left."]),
        ("Am 3. Mai kam J. R. Tolkien, z. B. mit ihm. Ende.", ["Am 3. Mai kam J. R. Tolkien, z. B. mit ihm.", "Ende."]),
        ('"Why?" she asked. "So." Then', ['"Why?" she asked.', '"So."', "Then"]),
        ("See No. 5 here. He said no. Then left.", ["See No. 5 here.", "He said no.", "Then left."]),
        ("In 1990. Then... And so", ["In 1990.", "Then...", "And so"]),
        ("我喜欢这本书。他也喜欢！真的吗？是", ["我喜欢这本书。", "他也喜欢！", "真的吗？", "是"]),
        ("「行く。」と彼は言った。明日は晴れ。", ["「行く。」と彼は言った。", "明日は晴れ。"]),
        ("यह है। वह था।", ["यह है।", "वह था।"]),
        ("यह है।वह था॥१॥", ["यह है।", "वह था॥१॥"]),
        ("នេះជាផ្ទះ។ នោះ", ["នេះជាផ្ទះ។", "នោះ"]),
        ("هل هذا؟ نعم هو. لا", ["هل هذا؟", "نعم هو.", "لا"]),
        ("کیا یہ ہے؟ ہاں۔ نہیں", ["کیا یہ ہے؟", "ہاں۔", "نہیں"]),
        ("Սա է։ Այո։", ["Սա է։", "Այո։"]),
        ("나는 간다. 너는 온다.", ["나는 간다.", "너는 온다."]),
        ("Come on. The art. They saw the house. 3 dogs", ["Come on.", "The art.", "They saw the house.", "3 dogs"]),
        ("  ", []),
        ("", []),
    ],
)
def test_sentence_boundaries(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    "text",
    [
        "Nach § 5 Abs. 2 Satz 1 BGB gilt das.",
        "Die Müller GmbH & Co. KG liefert.",
        "He was killed Dec. 27 in Rawalpindi.",
        "Smith et al. (2003) showed this.",
        "Ông ấy ở TP. Hồ Chí Minh.",
        "डॉ. शर्मा आए।",
        "Он живёт на ул. Ленина.",
        "2023. 5. 1. 서울에서 만났다.",
        "Es kommen max. 5 Personen.",
        "see Figs. 3 and 4.",
        "El Sr. García vive en EE. UU. desde 1990.",
        "Dne 5. března přišel tzv. Karel.",
        "Il sig. Rossi abita qui.",
        "The U.S. Army and St. John's Inc. agreed.",
    ],
)
def test_sentences_continue_after_abbreviations_and_dates(text: str) -> None:
    assert split_sentences(text) == [text]


@given(st.text(alphabet="aAb .!?。।؟」\"'1Dr\u3000", max_size=60))
def test_splitting_loses_no_text(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_each_sentence_of_a_line_is_translated_separately() -> None:
    lines = ["The dog runs. A cat sees the house. ", "", "the man ."]
    whole = list(tiny_translator(split_sentences=True).translate(lines))
    parts = [
        translation.text for translation in tiny_translator().translate(["The dog runs.", "A cat sees the house."])
    ]
    assert whole[0].text == " ".join(parts)
    assert len(whole[0].source_segments) == len(whole[0].hypotheses[0].segments) == 2
    assert [piece for part in whole[0].hypotheses[0].segments for piece in part] == whole[0].hypotheses[0].ids
    assert whole[1].text == ""
    assert whole[2].text == next(tiny_translator().translate(["the man ."])).text


# -------------------------------------------------------------------------------------------------------- protection


def test_protected_items() -> None:
    text = "<p class='x'>Go to (https://a.org/b_(c)). {name} %s %(n)d {{x}} &amp; www.a.de, me@a.de! 50% of {a b} 3 < 4"
    assert [(span, kind) for span, kind, _ in find_protected(text)] == [
        ("<p class='x'>", "tag"),
        ("https://a.org/b_(c)", "url"),
        ("{name}", "placeholder"),
        ("%s", "placeholder"),
        ("%(n)d", "placeholder"),
        ("{{x}}", "placeholder"),
        ("&amp;", "placeholder"),
        ("www.a.de", "url"),
        ("me@a.de", "url"),
    ]
    assert all(text[start:].startswith(span) for span, _, start in find_protected(text))


@pytest.mark.parametrize("hostile", ["<a ", "a@", "{", "http://", "%", "&a", "</", "__a", "www.", ".", "{0} ", "A. "])
def test_long_hostile_lines_are_fast(hostile: str) -> None:
    text = hostile * 20_000  # minutes, if looked at once for each place
    assert visible_length(mask(text, []).text) <= visible_length(text)
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_a_masked_text_reads_like_a_text_without_items() -> None:
    assert mask("Click <b>here</b>, see https://x.y. Yes", []).text == "Click here, see. Yes"
    assert mask("one<br>two {n}px", []).text == "one two px"
    assert mask("Click {0} and {1}", ["<x>"]).text == "Click <x> and"
    assert mask("{0} PH", ["PH"]).text == "PH"  # that symbol is in the text already
    assert mask("plain", ["<x>"]) == ("plain", [])


def word_target(source: str, target: str, links: list[tuple[int, int]]) -> tuple[PieceTranslation, list[str]]:
    """A target whose pieces look at the source words given by links (source, target)."""
    model = tiny_subword_model()
    source_ids, target_ids = model.encode([source, target])
    pieces, source_pieces = model.pieces(target_ids), model.pieces(source_ids)
    source_words = np.cumsum([piece.startswith("▁") for piece in source_pieces]) - 1
    target_words = np.cumsum([piece.startswith("▁") for piece in pieces]) - 1
    linked = [[(s, t) in links for s in source_words] for t in target_words]
    return PieceTranslation(source_pieces, target_ids, np.array(linked, dtype=np.float32)), pieces


STRAIGHT = [(place, place) for place in range(9)]


@pytest.mark.parametrize(
    ("line", "translation", "links", "expected"),
    [
        ("the <b>red</b> dog", "a green cat", STRAIGHT, "a <b>green</b> cat"),
        ("<p>the dog</p>", "a cat", STRAIGHT, "<p>a cat</p>"),
        ("the https://x.y dog .", "a cat .", STRAIGHT, "a https://x.y cat ."),
        ("the <i><b>red</b></i> dog", "a green cat", STRAIGHT, "a <i><b>green</b></i> cat"),
        ("the dog {0}", "cat a", [(0, 1), (1, 0)], "cat a {0}"),
        ("{0} the dog", "cat a", [(0, 1), (1, 0)], "{0} cat a"),
        ("the <br/> dog", "a cat", STRAIGHT, "a <br/> cat"),
        # A full stop that looks at the words before it is behind what was in front of the full stop all the same.
        ("the dog {0} .", "a cat .", [(0, 0), (1, 1), (1, 2)], "a cat {0} ."),
        ("<b>the</b> <i>dog</i> .", "a cat .", [(0, 0), (0, 1), (1, 2)], "<b>a cat</b> <i></i> ."),
        ("the dog . {0}", "a cat .", [(0, 0), (2, 1), (1, 2)], "a cat . {0}"),
        ("<p>the dog</p>", "a cat .", STRAIGHT, "<p>a cat .</p>"),
        ("the dog {0} .", "a cat", STRAIGHT, "a cat {0}"),
    ],
)
def test_items_are_inserted_where_the_attention_points(
    line: str, translation: str, links: list[tuple[int, int]], expected: str
) -> None:
    masked = mask(line, [])
    target, _ = word_target(masked.text, translation, links)
    assert restore(masked.text, masked.spans, target, tiny_subword_model(), spaces=True) == expected


@settings(max_examples=60)
@given(st.data())
def test_every_item_is_restored_once_and_in_order(data: st.DataObject) -> None:
    tokens = [*WORDS.split(), "<b>", "</b>", "{0}", "https://x.y/z", "%s"]
    line = " ".join(data.draw(st.lists(st.sampled_from(tokens), min_size=1, max_size=12)))
    words = " ".join(data.draw(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=9)))
    masked = mask(line, [])
    model = tiny_subword_model()
    source, ids = model.encode([masked.text, words])
    seed = data.draw(st.integers(0, 1000))
    weights = np.random.default_rng(seed).dirichlet(np.ones(max(len(source), 1)), size=len(ids)).astype(np.float32)
    target = PieceTranslation(model.pieces(source), ids, weights[:, : len(source)])
    text = restore(masked.text, masked.spans, target, model, spaces=True)
    assert [span for span, _, _ in find_protected(text)] == [span for span, _, _ in find_protected(line)]
    for span in masked.spans:
        text = text.replace(span.text, " ", 1)
    assert text.split() == model.decode([ids])[0].split()


def test_symbols_are_replaced_by_their_items_and_unmatched_symbols_are_dropped() -> None:
    model = tiny_subword_model()
    ids = model.encode(["the dog sees a cat"])[0]
    # Any piece can be a symbol here: what counts is its string.
    symbol = model.pieces(ids)[1]
    span = ProtectedSpan("{0}", "placeholder", 3, symbol, True, True)
    target = PieceTranslation(model.pieces(ids), ids, np.eye(len(ids), dtype=np.float32))
    carried = restore("the dog sees a cat", [span], target, model, spaces=True)
    assert carried.count("{0}") <= 1
    stray = replace_ids(target, [ids[0], ids[1], ids[1]])
    assert restore("the dog sees a cat", [span], stray, model, spaces=True).count("{0}") == 1


def replace_ids(target: PieceTranslation, ids: list[int]) -> PieceTranslation:
    return target._replace(ids=ids, weights=target.weights[: len(ids)])


def test_items_are_distributed_over_segments() -> None:
    masked = mask("<p>One <b>two.</b> {0} Three.</p>", [])
    assert masked.text == "One two. Three."
    first, second = distribute(masked.spans, ["One two.", "Three."])
    assert [(span.text, span.offset) for span in first] == [("<p>", 0), ("<b>", 3), ("</b>", 7)]
    assert [(span.text, span.offset) for span in second] == [("{0}", 0), ("</p>", 6)]


def test_without_attention_the_alignment_is_diagonal() -> None:
    tokenizers = tiny_tokenizers()
    masked = mask("the dog {0} runs .", [])
    source, ids = tokenizers.source.encode([masked.text, "the dog runs ."])
    part = SourceSegment(masked.text, SearchJob(tuple(source)), tuple(masked.spans))
    assert PlaceholderRestorer(tokenizers, None, spaces=True).texts([(part, ids)]) == ["the dog {0} runs ."]


def test_a_translator_restores_protected_items() -> None:
    lines = ["the <b>dog</b> sees {name} .", "https://x.y/z", "<br>", "", "a cat . " * 30 + "{0}", "the man ."]
    translator = tiny_translator(protect=True, beam_size=3, n_best=3)
    found = list(translator.translate(lines))
    for line, translation in zip(lines, found, strict=True):
        for candidate in translation.hypotheses:
            assert [span for span, _, _ in find_protected(candidate.text)] == [s for s, _, _ in find_protected(line)]
        assert len({candidate.text for candidate in translation.hypotheses}) == len(translation.hypotheses)
    assert [found[1].text, found[2].text, found[3].text] == lines[1:4]
    assert found[5].text == next(tiny_translator(beam_size=3, n_best=3).translate([lines[5]])).text


# ------------------------------------------------------------------------------------------------------------- flags


def translation_of(text: str, *, source_pieces: int = 8, pieces: int = 8, mean: float = -0.3) -> Translation:
    log_probs = [mean] * (pieces + 1)
    best = Hypothesis(text, [5] * pieces, ["a"] * pieces, mean, sum(log_probs), log_probs, True, [[5] * pieces])
    return Translation(text, [best], [[5] * source_pieces])


@pytest.mark.parametrize(
    ("source", "translation", "flags"),
    [
        ("a man reads a book", translation_of("ein Mann liest ein Buch"), []),
        ("", Translation("", []), []),
        ("a man", translation_of(""), ["empty"]),
        ("a man", translation_of("ja", pieces=23), ["length_ratio"]),
        ("a man", translation_of("ja", source_pieces=30), ["length_ratio"]),
        ("a man", translation_of("es ist so es ist so es ist so"), ["repetition"]),
        ("no no no no", translation_of("nein nein nein"), []),
        ("a man", translation_of("hahahahahahahahaha"), ["repetition"]),
        ("a man ...", translation_of("ein Mann ................"), []),
        ("a man", translation_of("ein Hund", mean=-2.5), ["low_score"]),
        ("a man reads a book", translation_of("A man reads a book"), ["copied_source"]),
        ("Angela Merkel", translation_of("Angela Merkel"), []),
        ("in 1990 for 1,000.50 euros", translation_of("1990 für 1.000,50 Euro"), []),
        ("two: 2 dogs", translation_of("zwei Hunde"), []),
        ("in 1990", translation_of("im Jahr 1991"), ["missing_number"]),
        ("٤٢ رجلا", translation_of("42 Männer"), []),
        (
            "{0} at https://a.b/1999 <b>x</b>",
            translation_of("x"),
            ["missing_placeholder", "missing_tag", "missing_url"],
        ),
        ("good 😀❤\ufe0f", translation_of("gut"), ["missing_emoji"]),
        ("good 😀❤\ufe0f", translation_of("gut 😀❤"), []),
        ("good 👩\u200d🚀", translation_of("gut 👩"), ["missing_emoji"]),
        ("&File", translation_of("Datei"), ["missing_placeholder"]),
        ("&File", translation_of("文件(&F)"), []),
        ("a man", translation_of("\u200b"), ["empty"]),
    ],
)
def test_flags(source: str, translation: Translation, flags: list[str]) -> None:
    assert find_flags(replace(translation, source=source)) == flags
    assert set(flags) <= set(FLAGS)


def test_a_translation_that_was_ended_at_the_limit_is_flagged() -> None:
    whole = translation_of("ein Mann")
    cut = replace(whole, hypotheses=[replace(whole.hypotheses[0], finished=False)])
    assert find_flags(replace(cut, source="a man")) == ["unfinished"]

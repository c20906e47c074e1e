"""`nmt score`."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import (
    Alpha,
    BatchSize,
    Device,
    EnsembleAverage,
    LengthNormalization,
    Models,
    ModelWeights,
    Overwrite,
    Precision,
    Quiet,
    Threads,
    Verbose,
    require_new_file,
)
from nmt.cli.score_inputs import Input, Item, choose_input, read_items
from nmt.errors import UsageError
from nmt.inference.results import SentencePair, TranslationScore
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.scorer import Scorer


class ScoreFormat(str, Enum):
    """What `nmt score` writes for each translation."""

    text = "text"
    jsonl = "jsonl"


def score(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="The text, or both sides in one file; - is standard input.")
    ],
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="Its translations, line by line.", show_default=False)
    ] = None,
    models: Models = None,
    model_weights: ModelWeights = None,
    input: Annotated[
        Input | None,
        typer.Option(
            "--input",
            help="What the files are. lines: two parallel files; tsv: one, with a tab between source and translation, "
            "or the text and what nmt translate --format tsv wrote; jsonl: what nmt translate --format jsonl wrote, or "
            "objects with source and target; moses: the text and a Moses n-best list. By default what their number and "
            "suffix tell.",
            show_default=False,
        ),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts", help="Score the texts of a jsonl file, not the pieces named there: for lists of another model."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write; by default standard output.", show_default=False
        ),
    ] = None,
    format: Annotated[
        ScoreFormat | None,
        typer.Option(
            "--format",
            help="text: log-probability, a tab, its mean for each piece, for each translation; jsonl: with the "
            "normalised score and each piece. By default that of the input, jsonl or text.",
            show_default=False,
        ),
    ] = None,
    length_normalization: LengthNormalization = None,
    alpha: Alpha = None,
    ensemble_average: EnsembleAverage = None,
    batch_size: BatchSize = None,
    precision: Precision = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how probable a model finds translations: for filtering a corpus, or judging what others translated.

    A number is the sum of log p(piece) over the pieces of a translation and its end, the log-probability that nmt
    translate reports for the same pieces. A text is cut into its best pieces; a search often found it in others, which
    have another number. The JSON Lines of nmt translate name them, so those are scored. Some lines have other numbers
    there: those that were translated in parts, which are scored whole here, those with something protected, and those
    translated with a shortlist, which shares the probability out among fewer pieces. A pair whose source is blank has
    no number.

    How a translation was found makes no difference: temperature, top-k, top-p, repetition penalty, blocked n-grams,
    prefixes and phrases change what nmt translate finds, but not the log-probability that it reports. The score of
    jsonl is the log-probability after length normalisation; there it has the coverage penalty and the repetition
    penalty too, and with --mbr it is something else.

    Several models give the numbers of the ensemble that they are in nmt translate.

    For example:

      nmt score news.en news.de > scores.tsv

      nmt translate news.en --format jsonl --n-best 5 > news.jsonl

      nmt score --model runs/other --texts news.jsonl > judged.jsonl

      nmt score --model runs/seed-1 --model runs/seed-2 news.en news.de
    """
    kind = choose_input(source, target, input)
    if output is not None:
        _check_usage(output, (source, target), overwrite=overwrite)
    scorer = _open(
        models,
        model_weights,
        length_normalization=length_normalization,
        alpha=alpha,
        ensemble_average=ensemble_average,
        batch_sentences=batch_size,
        precision=precision,
        device=device,
        threads=threads,
    )
    as_json = (format or (ScoreFormat.jsonl if kind is Input.jsonl else ScoreFormat.text)) is ScoreFormat.jsonl
    summary = _Summary()
    items = read_items(source, target, kind)
    results = summary.of(_scored(scorer, _without_pieces(items) if texts else items))
    _write((_json(item, scores) if as_json else _text(scores) for item, scores in results), output or Path("-"))
    summary.tell()


def _open(models: Sequence[Path] | None, weights: Sequence[float] | None, **decoding: Any) -> Scorer:
    from nmt.cli.loading import decoding_options, open_models

    members = open_models(models)
    if members[0].file.config.decoding.shortlist:
        logger.info("scores are over the whole vocabulary; nmt translate, with this model's shortlist, reports higher")
    from nmt.inference.scorer import Scorer

    return Scorer.from_members(members, weights=weights or None, decoding=decoding_options(**decoding))


def _check_usage(output: Path, inputs: Iterable[Path | None], *, overwrite: bool) -> None:
    """Make sure that writing `output` loses nothing."""
    for path in inputs:
        if path is not None and str(path) != "-" and output.exists() and path.exists() and output.samefile(path):
            raise UsageError(f"{output}: the scores would replace what is scored; choose another name for -o")
    require_new_file(output, overwrite=overwrite)


def _without_pieces(items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        yield item._replace(pairs=[replace(pair, pieces=None) for pair in item.pairs])


def _scored(scorer: Scorer, items: Iterator[Item]) -> Iterator[tuple[Item, list[TranslationScore | None]]]:
    """Give each item with the scores of its pairs."""
    waiting: deque[Item] = deque()
    scores = scorer.score(_pairs(items, waiting))
    for first in scores:
        item = waiting.popleft()
        yield item, [first, *islice(scores, len(item.pairs) - 1)]


def _pairs(items: Iterator[Item], waiting: deque[Item]) -> Iterator[SentencePair]:
    """Pass the pairs of items on, and keep the items until their scores come."""
    for item in items:
        waiting.append(item)
        yield from item.pairs


def _text(scores: list[TranslationScore | None]) -> str:
    return "".join("\n" if one is None else f"{one.log_probability:.6f}\t{one.mean:.6f}\n" for one in scores)


def _json(item: Item, scores: list[TranslationScore | None]) -> str:
    """Give an item as it came, with numbers; the order of its hypotheses stays."""
    record = dict(item.record)
    if "hypotheses" in record:
        own = zip(record["hypotheses"], scores, strict=False)  # a line without any has a blank pair
        record["hypotheses"] = [{**one, **_numbers(score)} for one, score in own]
    else:
        record.update(_numbers(scores[0]))
    return json.dumps(record, ensure_ascii=False) + "\n"


def _numbers(score: TranslationScore | None) -> dict[str, Any]:
    if score is None:
        return dict.fromkeys(("score", "log_probability", "mean", "pieces", "piece_log_probabilities"))
    return {
        "score": score.score,
        "log_probability": score.log_probability,
        "mean": score.mean,
        "pieces": score.pieces,
        "piece_log_probabilities": score.piece_log_probabilities,
    }


def _write(texts: Iterator[str], output: Path) -> None:
    from nmt.data.streams import open_whole

    with open_whole(output) as stream:
        for text in texts:
            stream.write(text.encode(errors="replace"))
            if str(output) == "-":
                stream.flush()  # somebody may be waiting for this line


class _Summary:
    """What all scores come to."""

    def __init__(self) -> None:
        self._translations = 0
        self._blank = 0
        self._pieces = 0
        self._total = 0.0

    def of(
        self, results: Iterator[tuple[Item, list[TranslationScore | None]]]
    ) -> Iterator[tuple[Item, list[TranslationScore | None]]]:
        """Pass results on, and count them."""
        for item, scores in results:
            for score in scores:
                if score is None:
                    self._blank += 1
                else:
                    self._translations += 1
                    self._pieces += len(score.piece_log_probabilities)
                    self._total += score.log_probability
            yield item, scores

    def tell(self) -> None:
        if self._blank:
            logger.info("blank, with nothing to score: %d line%s", self._blank, "s" * (self._blank > 1))
        if self._translations:
            mean = self._total / self._pieces
            logger.info(
                "%d translation%s, mean log-probability of a piece %.4f, perplexity %.2f",
                self._translations,
                "s" * (self._translations > 1),
                mean,
                math.exp(min(-mean, 700.0)),
            )

"""`nmt score`."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nmt.cli.loading import load_models
from nmt.cli.options import (
    STANDARD_STREAM,
    Models,
    ModelWeights,
    Output,
    Overwrite,
    Quiet,
    Verbose,
    check_not_input,
    option,
    require_new_file,
)
from nmt.cli.schema_options import COMPUTATION, with_decoding
from nmt.cli.score_inputs import Item, ScoreInput, choose_input, read_items
from nmt.data.streams import open_whole
from nmt.inference.results import SentencePair, TranslationScore
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.scorer import Scorer


@with_decoding("length_normalization", "alpha", "ensemble_average", "precision", *COMPUTATION)
def score(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Source text, or one file with both sides. - is standard input.")
    ],
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="Translations, line by line.", show_default=False)
    ] = None,
    models: Models = None,
    model_weights: ModelWeights = None,
    input: Annotated[
        ScoreInput | None,
        option(
            "--input",
            help="Input format. lines: two parallel files. tsv: one file with source, tab and translation, or the "
            "source and an n-best list from nmt translate --format tsv. jsonl: one file from nmt translate --format "
            "jsonl, or objects with source and target. moses: the source and a Moses n-best list. Default: chosen by "
            "the number of files and the file name.",
        ),
    ] = None,
    texts: Annotated[
        bool,
        option(
            "--texts",
            help="Ignore the pieces in a jsonl file and segment its texts again. Use it for n-best lists of a "
            "model with another vocabulary.",
        ),
    ] = False,
    output: Output = None,
    format: Annotated[
        Literal["text", "jsonl"] | None,
        option(
            "--format",
            help="Output format. text: log-probability, tab and mean log-probability per piece, on one line per "
            "translation. jsonl: also the normalised score and the log-probability of each piece. Default: jsonl for "
            "jsonl input, otherwise text.",
        ),
    ] = None,
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compute the log-probability that a model assigns to given translations.

    Use it to filter a corpus or to judge translations of other systems. The log-probability is the sum of log p(piece)
    over the pieces of a translation and the end symbol. Several models score as the ensemble that nmt translate forms
    of them. A pair with a blank source has no score.

    The JSON Lines of nmt translate contain the pieces that the search found, and these are scored. A plain text is
    segmented into its most probable pieces, which may differ and then have another log-probability. Scores also differ
    from those of nmt translate for lines that were translated in parts, with protected items or with a shortlist.

    Sampling options, repetition penalty, blocked n-grams and constraints do not change a log-probability. The score in
    jsonl is the log-probability after length normalisation, without the penalties of the search.

    For example:

      nmt score news.en news.de > scores.tsv
      nmt translate news.en --format jsonl --n-best 5 > news.jsonl
      nmt score --model runs/other --texts news.jsonl > scored.jsonl
      nmt score --model runs/seed-1 --model runs/seed-2 news.en news.de
    """
    kind = choose_input(source, target, input)
    if output is not None:
        check_not_input(output, [source, target])
        require_new_file(output, overwrite=overwrite)
    scorer = _open(models, model_weights, decoding)
    as_json = (format or ("jsonl" if kind == "jsonl" else "text")) == "jsonl"
    summary = _Summary()
    items = read_items(source, target, kind)
    complete = all(path is None or path.is_file() for path in (source, target))
    results = summary.count(_scored(scorer, _without_pieces(items) if texts else items, complete=complete))
    _write((_json(item, scores) if as_json else _text(scores) for item, scores in results), output or STANDARD_STREAM)
    summary.report()


def _open(models: Sequence[Path] | None, weights: Sequence[float] | None, decoding: dict[str, Any]) -> Scorer:
    loaded = load_models(models)
    if loaded[0].config.decoding.shortlist:
        logger.info(
            "Scores are computed over the whole vocabulary. nmt translate uses the shortlist of this model and prints "
            "higher log-probabilities."
        )
    from nmt.inference.scorer import Scorer

    return Scorer.from_models(loaded, weights=weights or None, decoding=decoding)


def _without_pieces(items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        yield item._replace(pairs=[replace(pair, pieces=None) for pair in item.pairs])


def _scored(
    scorer: Scorer, items: Iterator[Item], *, complete: bool
) -> Iterator[tuple[Item, list[TranslationScore | None]]]:
    """Yield each item with the scores of its pairs. `complete`: the batches do not depend on the arrival of lines."""
    from nmt.inference.streaming import Windowing

    waiting: deque[Item] = deque()
    scores = scorer.score(_pairs(items, waiting), windowing=Windowing(complete=complete))
    for first in scores:
        item = waiting.popleft()
        yield item, [first, *islice(scores, len(item.pairs) - 1)]


def _pairs(items: Iterator[Item], waiting: deque[Item]) -> Iterator[SentencePair]:
    """Pass the pairs of items on, and keep the items until their scores arrive."""
    for item in items:
        waiting.append(item)
        yield from item.pairs


def _text(scores: list[TranslationScore | None]) -> str:
    return "".join("\n" if one is None else f"{one.log_probability:.6f}\t{one.mean:.6f}\n" for one in scores)


def _json(item: Item, scores: list[TranslationScore | None]) -> str:
    """Format an item with its scores. Its hypotheses keep their order."""
    record = dict(item.record)
    if "hypotheses" in record:
        pairs = zip(record["hypotheses"], scores, strict=False)  # a line without hypotheses has a blank pair
        record["hypotheses"] = [{**one, **_numbers(score)} for one, score in pairs]
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
    with open_whole(output) as stream:
        for text in texts:
            stream.write(text.encode(errors="replace"))
            if output == STANDARD_STREAM:
                stream.flush()  # a reader may wait for this line


class _Summary:
    """Counts and sums of all scores."""

    def __init__(self) -> None:
        self._translations = 0
        self._blank = 0
        self._pieces = 0
        self._total = 0.0

    def count(
        self, results: Iterator[tuple[Item, list[TranslationScore | None]]]
    ) -> Iterator[tuple[Item, list[TranslationScore | None]]]:
        """Pass results on and count them."""
        for item, scores in results:
            for score in scores:
                if score is None:
                    self._blank += 1
                else:
                    self._translations += 1
                    self._pieces += len(score.piece_log_probabilities)
                    self._total += score.log_probability
            yield item, scores

    def report(self) -> None:
        """Log the totals."""
        if self._blank:
            logger.info("%d blank line%s without a score", self._blank, "s" * (self._blank > 1))
        if self._translations:
            mean = self._total / self._pieces
            logger.info(
                "%d translation%s, mean log-probability per piece %.4f, perplexity %.2f",
                self._translations,
                "s" * (self._translations > 1),
                mean,
                math.exp(min(-mean, 700.0)),
            )

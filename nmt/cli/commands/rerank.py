"""`nmt rerank`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nmt.cli.loading import decoding_options
from nmt.cli.options import BatchSize, Device, Metric, Overwrite, Quiet, Threads, Verbose, require_new_file
from nmt.cli.score_inputs import Input as Kind
from nmt.cli.score_inputs import Item, read_items
from nmt.errors import DataError, UnequalLines, UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.evaluation.reranking import NBestList, RerankModel, RerankScores
    from nmt.inference.model_file import ModelFile

BLOCK = 1024
"""Sentences that are judged together."""


class RerankFormat(str, Enum):
    """What `nmt rerank` writes for each line."""

    text = "text"
    jsonl = "jsonl"


class _Bench(NamedTuple):
    """The models that judge."""

    judges: list[RerankModel]
    file: ModelFile
    """The first of them that translates in the direction of the candidates, or, if there is none, the first."""
    names: list[str]
    """Of all features, that of the model that found the candidates first."""
    language: str
    """Of the candidates."""


def rerank(
    candidates: Annotated[
        Path,
        typer.Argument(
            metavar="CANDIDATES", help="What nmt translate --format jsonl --n-best N wrote; - is standard input."
        ),
    ],
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A model that judges the candidates, such as one trained with data.right_to_left; may be repeated.",
            show_default=False,
        ),
    ] = None,
    reverse: Annotated[
        list[Path] | None,
        typer.Option(
            "--reverse",
            metavar="MODEL",
            help="A model of the other direction, which judges the source given each candidate; may be repeated.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="How much each model counts (JSON), as found with --reference; by default all the same.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="FILE",
            help="Translations by people of the same lines: find the best weights, and write them to --weights.",
            show_default=False,
        ),
    ] = None,
    metric: Metric = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write; by default standard output.", show_default=False
        ),
    ] = None,
    format: Annotated[
        RerankFormat,
        typer.Option("--format", help="text: the best candidate; jsonl: all, reordered, with their features."),
    ] = RerankFormat.text,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose among the candidates of each line with more models: right to left, or of the other direction.

    First find the weights on validation data, then use them on what is new:

      nmt translate valid.en --format jsonl --beam-size 12 --n-best 12 > valid.jsonl

      nmt rerank valid.jsonl -m runs/right-to-left --reverse runs/de-en --reference valid.de --weights weights.json

      nmt translate new.en --format jsonl --beam-size 12 --n-best 12 > new.jsonl

      nmt rerank new.jsonl -m runs/right-to-left --reverse runs/de-en --weights weights.json > new.de
    """
    _check(models, reverse, weights, reference, output, overwrite=overwrite)
    machine = decoding_options(batch_sentences=batch_size, device=device, threads=threads)
    bench = _open(models or [], reverse or [], machine)
    items = read_items(candidates, None, Kind.jsonl)
    if reference is not None:
        assert weights is not None
        _tune(list(items), reference, bench, metric.value if metric is not None else "bleu", weights)
        return
    _write(items, bench, _read_weights(weights, bench.names), output or Path("-"), format)


def _check(
    models: list[Path] | None,
    reverse: list[Path] | None,
    weights: Path | None,
    reference: Path | None,
    output: Path | None,
    *,
    overwrite: bool,
) -> None:
    if not models and not reverse:
        raise UsageError("there is no model to judge the candidates: name one with --model or --reverse")
    if reference is not None:
        if weights is None:
            raise UsageError("--reference finds the best weights; say with --weights which file they go into")
        if output is not None:
            raise UsageError("-o goes with choosing candidates; --reference finds weights, and they go to --weights")
        require_new_file(weights, overwrite=overwrite)
    elif output is not None:
        require_new_file(output, overwrite=overwrite)


def _open(models: Sequence[Path], reverse: Sequence[Path], machine: dict[str, Any]) -> _Bench:
    from nmt.inference.find_model import find_model

    paths = [*map(find_model, models), *map(find_model, reverse)]
    from nmt.evaluation.reranking import OWN, RerankModel
    from nmt.inference.model_file import load_model
    from nmt.inference.scorer import Scorer

    files = list(map(load_model, paths))
    judges, directions = [], []
    for number, (path, file) in enumerate(zip(paths, files, strict=True)):
        backwards = number >= len(models)
        name = f"reverse {number - len(models) + 1}" if backwards else f"model {number + 1}"
        data = file.config.data
        pair = (data.source_language, data.target_language)
        directions.append(pair[::-1] if backwards else pair)
        logger.info("%s: %s, %s to %s%s", name, path, *pair, ", right to left" * data.right_to_left)
        judges.append(RerankModel(name, Scorer.from_model_file(file, decoding=machine), backwards))
    if len(set(directions)) > 1:
        listed = "; ".join(f"{path}: {'-'.join(pair)}" for path, pair in zip(paths, directions, strict=True))
        raise UsageError(
            f"the models do not judge the same candidates: a --reverse model must translate the other way ({listed})"
        )
    return _Bench(judges, files[0], [OWN, *(judge.name for judge in judges)], directions[0][1])


def _candidates(item: Item) -> NBestList:
    """The candidates of a line of input, with the mean log-probability of a piece that the search gave them."""
    from nmt.evaluation.reranking import NBestList

    record = item.record
    if not isinstance(record.get("hypotheses"), list):
        raise DataError("rerank needs n-best lists: write them with nmt translate --format jsonl --n-best 12")
    own = []
    for hypothesis in record["hypotheses"]:
        try:
            own.append(float(hypothesis["log_probability"]) / max(1, len(hypothesis["piece_log_probabilities"])))
        except (KeyError, TypeError, ValueError):
            raise DataError(
                "a hypothesis has no log_probability and piece_log_probabilities: write the candidates with "
                "nmt translate --format jsonl"
            ) from None
    return NBestList(str(record["source"]), [pair.target for pair in item.pairs][: len(own)], own)


def _tune(items: list[Item], reference: Path, bench: _Bench, metric: str, path: Path) -> None:
    from nmt.cli.text_table import table
    from nmt.data.lines import read_lines, write_lines
    from nmt.evaluation.reranking import rerank_scores, tune_weights

    references = list(read_lines(reference, keep_broken=False))
    if len(references) != len(items):
        rule = "Each line of it must be the reference of the same line of the candidates."
        raise UnequalLines("the list of candidates", len(items), str(reference), len(references), rule=rule)
    judged = rerank_scores([_candidates(item) for item in items], bench.judges)
    options = bench.file.config.evaluation
    tuned = tune_weights(
        judged,
        references,
        metric=metric,
        bleu_tokenizer=options.bleu_tokenizer,
        lowercase=options.lowercase,
        target_language=bench.language,
    )
    found = {name: round(float(weight), 4) for name, weight in zip(bench.names, tuned.weights, strict=True)}
    shown = {"bleu": "BLEU", "chrf": "chrF"}[metric]
    rows = [["", shown], ["as they came", f"{tuned.own:.2f}"], ["reranked", f"{tuned.score:.2f}"]]
    for line in (*table(rows), "", *table([[name, f"{weight:.2f}"] for name, weight in found.items()])):
        typer.echo(line)
    write_lines(path, [json.dumps(found)])
    logger.info("wrote %s", path)


def _read_weights(path: Path | None, names: Sequence[str]) -> dict[str, float]:
    from nmt.evaluation.reranking import equal_weights

    if path is None:
        logger.info("all models count the same; --reference finds better weights")
        return equal_weights(names)
    try:
        found = {str(name): float(weight) for name, weight in json.loads(path.read_text(encoding="utf-8")).items()}
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}.") from error
    except (ValueError, TypeError, AttributeError):
        raise DataError(f"{path}: not a file of weights, which `nmt rerank --reference` writes") from None
    if set(found) != set(names):
        raise UsageError(
            f"{path} has weights of {', '.join(sorted(found))}, but the models given are {', '.join(sorted(names))}; "
            "give as many --model and --reverse as when the weights were found"
        )
    return found


def _write(items: Iterator[Item], bench: _Bench, weights: dict[str, float], output: Path, format: RerankFormat) -> None:
    from nmt.data.streams import open_output
    from nmt.evaluation.reranking import in_order, ranking, rerank_scores

    vector = in_order(weights, bench.names)
    first = list(islice(items, BLOCK))  # an error before anything is written leaves no file
    with open_output(output) as stream:
        while first:
            for item, judged in zip(
                first, rerank_scores([_candidates(item) for item in first], bench.judges), strict=True
            ):
                order = ranking(judged, vector)
                stream.write(_render(item, judged, order, judged.features @ vector, bench.names, format).encode())
            first = list(islice(items, BLOCK))


def _render(
    item: Item, judged: RerankScores, order: Sequence[int], scores: Any, names: Sequence[str], format: RerankFormat
) -> str:
    texts = judged.candidates.texts
    best = texts[order[0]] if order else ""
    if format is RerankFormat.text:
        return best + "\n"
    hypotheses = [
        {
            **item.record["hypotheses"][number],
            "score": float(scores[number]),
            "features": dict(zip(names, judged.features[number].tolist(), strict=True)),
        }
        for number in order
    ]
    return json.dumps({**item.record, "translation": best, "hypotheses": hypotheses}, ensure_ascii=False) + "\n"

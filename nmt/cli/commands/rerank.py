"""`nmt rerank`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from nmt.cli.options import STANDARD_STREAM, Metric, Output, Overwrite, Quiet, Verbose, option, require_new_file
from nmt.cli.schema_options import COMPUTATION, with_decoding
from nmt.cli.score_inputs import Item, read_items
from nmt.cli.text_table import table
from nmt.config.problems import shorten
from nmt.data.languages import are_same_pair
from nmt.data.lines import read_lines, write_lines
from nmt.data.streams import open_output
from nmt.errors import DataError, UnequalLines, UsageError
from nmt.inference.find_model import find_model
from nmt.log import logger
from nmt.small_files import finite_number, read_json

if TYPE_CHECKING:
    from nmt.evaluation.reranking import NBestList, RerankModel, RerankScores
    from nmt.inference.model_file import ModelFile

BLOCK = 1024
"""Number of sentences that are scored together."""

Format = Literal["text", "jsonl"]


class _Models(NamedTuple):
    """The models that score the hypotheses.

    Attributes:
        scorers: the models.
        file: the first model that translates in the direction of the hypotheses, or else the first model.
        names: names of all features, first that of the model that generated the hypotheses.
        language: language of the hypotheses.
    """

    scorers: list[RerankModel]
    file: ModelFile
    names: list[str]
    language: str


@with_decoding(*COMPUTATION)
def rerank(
    nbest: Annotated[
        Path,
        typer.Argument(
            metavar="NBEST", help="N-best lists from nmt translate --format jsonl --n-best N. - is standard input."
        ),
    ],
    models: Annotated[
        list[Path] | None,
        option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Model that scores the hypotheses, such as one trained with data.right_to_left. Repeat the option for "
            "several models.",
        ),
    ] = None,
    reverse: Annotated[
        list[Path] | None,
        option(
            "--reverse",
            metavar="MODEL",
            help="Model of the opposite translation direction, which scores the source given the hypothesis. Repeat "
            "the option for several models.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        option(
            "--weights",
            metavar="FILE",
            help="JSON file with the weight of each model, as written with --reference. Default: equal weights.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        option(
            "--reference",
            metavar="FILE",
            help="Reference translation. With it, the command finds the best weights and writes them to --weights.",
        ),
    ] = None,
    metric: Metric = None,
    output: Output = None,
    format: Annotated[
        Format,
        option(
            "--format",
            help="Output format. text: the best hypothesis per line. jsonl: all hypotheses in the new order, with "
            "their features. Default: text.",
        ),
    ] = "text",
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Rerank n-best lists with other models, such as right-to-left models or models of the opposite direction.

    Find the weights on validation data first, and use them for new text. For example:

      nmt translate valid.en --format jsonl --n-best 12 --beam-size 12 > v.jsonl
      nmt rerank v.jsonl -m runs/r2l --reference valid.de --weights w.json

      nmt translate new.en --format jsonl --n-best 12 --beam-size 12 > n.jsonl
      nmt rerank n.jsonl -m runs/r2l --weights w.json > new.de
    """
    _check(models, reverse, weights, reference, output, overwrite=overwrite)
    opened = _open(models or [], reverse or [], decoding)
    items = read_items(nbest, None, "jsonl")
    if reference is not None:
        assert weights is not None
        _tune(list(items), reference, opened, metric if metric is not None else "bleu", weights)
        return
    _write(items, opened, _read_weights(weights, opened.names), output or STANDARD_STREAM, format)


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
        raise UsageError("no model to rerank with. Name one with --model or --reverse.")
    if reference is not None:
        if weights is None:
            raise UsageError("--reference requires --weights FILE, where the best weights are written.")
        if output is not None:
            raise UsageError("-o excludes --reference: the weights are written to --weights.")
        require_new_file(weights, overwrite=overwrite)
    elif output is not None:
        require_new_file(output, overwrite=overwrite)


def _open(models: Sequence[Path], reverse: Sequence[Path], decoding: dict[str, Any]) -> _Models:
    paths = [*map(find_model, models), *map(find_model, reverse)]
    from nmt.evaluation.reranking import SEARCH_FEATURE, RerankModel
    from nmt.inference.model_file import load_model
    from nmt.inference.scorer import Scorer

    files = list(map(load_model, paths))
    scorers, directions = [], []
    for number, (path, file) in enumerate(zip(paths, files, strict=True)):
        backwards = number >= len(models)
        name = f"reverse {number - len(models) + 1}" if backwards else f"model {number + 1}"
        data = file.config.data
        pair = (data.source_language, data.target_language)
        directions.append(pair[::-1] if backwards else pair)
        logger.info("%s: %s, %s to %s%s", name, path, *pair, ", right to left" * data.right_to_left)
        scorers.append(RerankModel(name, Scorer.from_models([file], decoding=decoding), backwards))
    if not all(are_same_pair(direction, directions[0]) for direction in directions):
        listed = ", ".join(f"{path}: {'-'.join(pair)}" for path, pair in zip(paths, directions, strict=True))
        raise UsageError(
            f"the models do not have the same languages: {listed}. A --reverse model translates in the opposite "
            "direction."
        )
    return _Models(scorers, files[0], [SEARCH_FEATURE, *(scorer.name for scorer in scorers)], directions[0][1])


def _nbest_list(item: Item) -> NBestList:
    """Return the hypotheses of a line of input with their mean log-probability per piece in the search."""
    from nmt.evaluation.reranking import NBestList

    record = item.record
    if not isinstance(record.get("hypotheses"), list):
        raise DataError(
            f"line {item.line} of the input has no n-best list. Write n-best lists with nmt translate --format jsonl "
            "--n-best 12."
        )
    own = []
    for hypothesis in record["hypotheses"]:
        try:
            pieces = hypothesis["piece_log_probabilities"]
            own.append(finite_number(hypothesis["log_probability"]) / max(1, len([*map(finite_number, pieces)])))
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"line {item.line} of the input has a hypothesis whose log_probability or piece_log_probabilities are "
                "missing or not finite numbers. Write n-best lists with nmt translate --format jsonl."
            ) from None
    return NBestList(str(record["source"]), [pair.target for pair in item.pairs][: len(own)], own)


def _tune(items: list[Item], reference: Path, models: _Models, metric: str, path: Path) -> None:
    from nmt.evaluation.reranking import rerank_scores, tune_weights

    references = list(read_lines(reference, keep_broken=False))
    if len(references) != len(items):
        rule = "Each line must be the reference of the same line of the n-best lists."
        raise UnequalLines("the input", len(items), str(reference), len(references), rule=rule)
    scored = rerank_scores([_nbest_list(item) for item in items], models.scorers)
    options = models.file.config.evaluation
    tuned = tune_weights(
        scored,
        references,
        metric=metric,
        bleu_tokenizer=options.bleu_tokenizer,
        lowercase=options.lowercase,
        target_language=models.language,
    )
    weights = {name: round(float(weight), 4) for name, weight in zip(models.names, tuned.weights, strict=True)}
    shown = {"bleu": "BLEU", "chrf": "chrF"}[metric]
    rows = [["", shown], ["before", f"{tuned.score_before:.2f}"], ["reranked", f"{tuned.score:.2f}"]]
    for line in (*table(rows), "", *table([[name, f"{weight:.2f}"] for name, weight in weights.items()])):
        typer.echo(line)
    write_lines(path, [json.dumps(weights)])
    logger.info("wrote %s", path)


def _read_weights(path: Path | None, names: Sequence[str]) -> dict[str, float]:
    from nmt.evaluation.reranking import equal_weights

    if path is None:
        logger.info("All models have equal weights. --reference finds better ones.")
        return equal_weights(names)
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a file of weights as `nmt rerank --reference` writes it.")
    weights = {}
    for name, weight in content.items():
        try:
            weights[name] = finite_number(weight)
        except (TypeError, ValueError):
            raise DataError(f"{path}: the weight of {shorten(name)!r} is not a finite number.") from None
    if set(weights) != set(names):
        raise UsageError(
            f"{path} has weights for {shorten(', '.join(sorted(weights)))}, but the models are "
            f"{', '.join(sorted(names))}. Use the same number of --model and --reverse as with --reference."
        )
    return weights


def _write(items: Iterator[Item], models: _Models, weights: dict[str, float], output: Path, format: Format) -> None:
    from nmt.evaluation.reranking import in_order, ranking, rerank_scores

    vector = in_order(weights, models.names)
    lists = ((item, _nbest_list(item)) for item in items)
    block = list(islice(lists, BLOCK))  # an error before anything is written leaves no file
    with open_output(output) as stream:
        while block:
            scored = rerank_scores([nbest for _, nbest in block], models.scorers)
            for (item, _), scores in zip(block, scored, strict=True):
                order = ranking(scores, vector)
                stream.write(_render(item, scores, order, scores.features @ vector, models.names, format).encode())
            block = list(islice(lists, BLOCK))


def _render(
    item: Item, scored: RerankScores, order: Sequence[int], scores: Any, names: Sequence[str], format: Format
) -> str:
    texts = scored.nbest.texts
    best = texts[order[0]] if order else ""
    if format == "text":
        return best + "\n"
    hypotheses = [
        {
            **item.record["hypotheses"][number],
            "score": float(scores[number]),
            "features": dict(zip(names, scored.features[number].tolist(), strict=True)),
        }
        for number in order
    ]
    return json.dumps({**item.record, "translation": best, "hypotheses": hypotheses}, ensure_ascii=False) + "\n"

"""`nmt average`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nmt.cli.loading import config_with_data
from nmt.cli.options import (
    Overwrite,
    Quiet,
    ValidationReference,
    ValidationSource,
    Verbose,
    option,
    require_new_file,
)
from nmt.cli.schema_options import COMPUTATION, with_decoding
from nmt.cli.text_table import table
from nmt.data.folder_lock import lock_output
from nmt.errors import UsageError
from nmt.evaluation.tuning import TrialScores, TuningSet, read_tuning_set
from nmt.inference.find_model import WEIGHTS_NAME
from nmt.log import logger
from nmt.plots.run_records import METRICS_NAME, Series, read_records

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile

DEFAULT_NAME = "averaged.safetensors"


@with_decoding("beam_size", *COMPUTATION)
def average(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|MODEL",
            help="A run folder, whose checkpoints are averaged, or several model files, checkpoints or run folders, "
            "whose best models are averaged.",
            show_default=False,
        ),
    ],
    last: Annotated[
        int | None,
        option("--last", min=2, metavar="<int>", help="Number of latest checkpoints to average. Default: all."),
    ] = None,
    best: Annotated[
        int | None,
        option(
            "--best",
            min=2,
            metavar="<int>",
            help="Number of checkpoints with the best validation scores to average. Default: all.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option("-o", "--output", metavar="FILE", help=f"New model file. Default: {DEFAULT_NAME} in the run folder."),
    ] = None,
    validate: Annotated[
        bool,
        option(
            "--validate/--no-validate",
            help="Compare the translations of the validation set before and after. Default: on.",
        ),
    ] = True,
    source: ValidationSource = None,
    reference: ValidationReference = None,
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Average the weights of checkpoints into a new model, and show its validation scores beside the old ones.

    The weights must belong to one run, or to runs that started from the same model.

    For example:

      nmt average runs/quickstart --last 3
      nmt average runs/quickstart --best 5 -o averaged.safetensors
    """
    if last is not None and best is not None:
        raise UsageError("--last excludes --best.")
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such run folder, checkpoint or model file.")
    output = _output(paths, output)
    require_new_file(output, overwrite=overwrite)
    with lock_output(output):
        tuning_set = (source, reference) if validate else None
        _average(_Selection(paths, last, best), output, tuning_set=tuning_set, decoding=decoding)


class _Selection(NamedTuple):
    """What is averaged."""

    paths: list[Path]
    last: int | None
    best: int | None


def _average(
    selection: _Selection,
    output: Path,
    *,
    tuning_set: tuple[Path | None, Path | None] | None,
    decoding: dict[str, Any],
) -> None:
    """Average weights, and compare the translations of the tuning set before and after."""
    from nmt.inference.translator import Translator
    from nmt.training import averaging

    paths = selection.paths
    selected = _select(*selection)
    base = averaging.base_model(paths[0])
    averaging.check_same_task({str(path): averaging.base_model(path) for path in dict.fromkeys(paths)})
    validation = None
    if tuning_set is not None:
        config = base.config if any(tuning_set) else config_with_data(base, "the validation set")
        validation = read_tuning_set(config, *tuning_set)
    averaged = averaging.average_models(base, [averaging.read_weights(path) for path in selected])
    logger.info("averaging %d sets of weights: %s", len(selected), ", ".join(path.name for path in selected))
    after = None
    if validation is not None:
        before = validation.measure(Translator.from_models([base], decoding=decoding))
        after = validation.measure(Translator.from_models([averaged], decoding=decoding))
        _print(before, after, validation)
    averaging.save_average(averaged, output, scores=None if after is None else after.scores)
    logger.info("wrote %s, next step: nmt translate --model %s", output, output)


def _output(paths: list[Path], given: Path | None) -> Path:
    if given is not None:
        return given
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0] / DEFAULT_NAME
    raise UsageError("several models require -o FILE for their average.")


def _select(paths: list[Path], last: int | None, best: int | None) -> list[Path]:
    """Return the checkpoints of a run that are averaged, or the listed files."""
    from nmt.training.averaging import base_model, checkpoints_of, choose_checkpoints

    if len(paths) > 1 or not paths[0].is_dir() or (paths[0] / WEIGHTS_NAME).exists():
        if last is not None or best is not None:
            raise UsageError("--last and --best require a single run folder.")
        return paths
    (run,) = paths
    scores = {} if best is None else _validation_scores(run, base_model(run))
    return choose_checkpoints(checkpoints_of(run), last=last, best=best, scores=scores)


def _validation_scores(run: Path, file: ModelFile) -> dict[int, tuple[float, float]]:
    """Return a rank of the validation after each update, as training selects its best model. Higher is better."""
    from nmt.training.improvement import Mark
    from nmt.training.validation import maximized

    metric = file.config.training.validation.metric
    records = read_records(run / METRICS_NAME)
    values, losses = (
        dict(zip(series.updates, series.values, strict=True))
        for series in (records.valid.get(name, Series([], [])) for name in (metric, "loss"))
    )
    ranks = {}
    for update, value in values.items():
        loss = losses.get(update, math.inf)
        score = maximized(metric, {"loss": loss, metric: value})
        ranks[update] = (Mark(score, loss, significant=update not in records.noisy).rank, -loss)
    return ranks


def _print(before: TrialScores, after: TrialScores, validation: TuningSet) -> None:
    rows = [["", "BLEU", "chrF"]]
    for name, measured in (("before", before), ("averaged", after)):
        rows.append([name, f"{measured.scores['bleu']:.2f}", f"{measured.scores['chrf']:.2f}"])
    for line in table(rows):
        typer.echo(line)
    typer.echo(f"on {len(validation.sources):,} sentences")
    if all(after.scores[name] < before.scores[name] for name in before.scores):
        logger.warning("the averaged model scores lower than the model before")

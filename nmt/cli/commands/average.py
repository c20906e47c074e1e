"""`nmt average`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.loading import decoding_options, make_translator
from nmt.cli.options import (
    BatchSize,
    BeamSize,
    Device,
    HeldOutReference,
    HeldOutSource,
    Overwrite,
    Quiet,
    Threads,
    Verbose,
    require_new_file,
)
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.evaluation.tuning import TrialScores, TuningSet
    from nmt.inference.model_file import ModelFile

DEFAULT_NAME = "averaged.safetensors"


def average(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_MODELS...",
            help="A run, whose checkpoints are meant; or several model files, checkpoints, runs (their best models).",
        ),
    ],
    last: Annotated[
        int | None, typer.Option("--last", min=2, help="Only the last checkpoints of the run.", show_default=False)
    ] = None,
    best: Annotated[
        int | None,
        typer.Option("--best", min=2, help="Only the checkpoints that were validated best.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=f"The new model file; by default {DEFAULT_NAME} in the folder of the run.",
            show_default=False,
        ),
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Translate the validation set before and after.")
    ] = True,
    source: HeldOutSource = None,
    reference: HeldOutReference = None,
    beam_size: BeamSize = None,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Average the weights of checkpoints of a run into a new model, and show how it scores beside the old one.

    Weights must be of one run, or of runs that started from the same model: others have no meaningful mean.

    For example:

      nmt average runs/quickstart --last 3

      nmt average runs/quickstart --best 5 -o averaged.safetensors
    """
    if last is not None and best is not None:
        raise UsageError("--last and --best are two ways to choose; give one of them")
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: there is no such run folder, checkpoint or model file")
    output = _output(paths, output)
    require_new_file(output, overwrite=overwrite)
    from nmt.evaluation.tuning import read_tuning_set
    from nmt.training.averaging import average as average_parts
    from nmt.training.averaging import base_model, check_subwords, read_part, save

    chosen = _chosen(paths, last, best)
    base = base_model(paths[0])
    check_subwords({str(path): base_model(path) for path in dict.fromkeys(paths)})
    held_out = read_tuning_set(base.config, source, reference) if validate else None
    averaged = average_parts(base, [read_part(path) for path in chosen])
    logger.info("averaging %d sets of weights: %s", len(chosen), ", ".join(path.name for path in chosen))
    after = None
    if held_out is not None:
        options = decoding_options(beam_size=beam_size, batch_sentences=batch_size, device=device, threads=threads)
        before = held_out.measure(make_translator(base, **options))
        after = held_out.measure(make_translator(averaged, **options))
        _print(before, after, held_out)
    save(averaged, output, scores=None if after is None else after.scores)
    logger.info("wrote %s; next: nmt translate --model %s", output, output)


def _output(paths: list[Path], given: Path | None) -> Path:
    if given is not None:
        return given
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0] / DEFAULT_NAME
    raise UsageError("with several models -o FILE says where their average goes")


def _chosen(paths: list[Path], last: int | None, best: int | None) -> list[Path]:
    """The checkpoints of a run, or what is listed."""
    from nmt.training.averaging import WEIGHTS_NAME, base_model, checkpoints_of, choose_checkpoints

    if len(paths) > 1 or not paths[0].is_dir() or (paths[0] / WEIGHTS_NAME).exists():
        if last is not None or best is not None:
            raise UsageError("--last and --best choose among the checkpoints of one run; name that run alone")
        return paths
    (run,) = paths
    goodness = {} if best is None else _goodness(run, base_model(run))
    return choose_checkpoints(checkpoints_of(run), last=last, best=best, goodness=goodness)


def _goodness(run: Path, file: ModelFile) -> dict[int, float]:
    """What the validations of a run found, larger being better."""
    from nmt.plots.run_records import METRICS_NAME, Series, read_records
    from nmt.training.validation import HIGHER_IS_BETTER

    metric = file.config.training.validation.metric
    series = read_records(run / METRICS_NAME).valid.get(metric, Series([], []))
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    return {update: sign * value for update, value in zip(series.updates, series.values, strict=True)}


def _print(before: TrialScores, after: TrialScores, held_out: TuningSet) -> None:
    from nmt.cli.text_table import table

    rows = [["", "BLEU", "chrF"]]
    for name, measured in (("before", before), ("averaged", after)):
        rows.append([name, f"{measured.scores['bleu']:.2f}", f"{measured.scores['chrf']:.2f}"])
    for line in table(rows):
        typer.echo(line)
    typer.echo(f"on {len(held_out.sources):,} sentences")
    if all(after.scores[name] < before.scores[name] for name in before.scores):
        logger.warning("the average is worse than the model before; it is written all the same")

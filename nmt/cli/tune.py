"""`nmt tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.opening import decoding_options, make_translator
from nmt.cli.options import (
    BatchSize,
    Device,
    HeldOutReference,
    HeldOutSource,
    Metric,
    Overwrite,
    Quiet,
    Threads,
    Verbose,
    refuse_existing,
)
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.config.schema import Decoding
    from nmt.evaluation.held_out import Measured
    from nmt.evaluation.tuning import Trial
    from nmt.inference.model_file import ModelFile


def tune(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A model file or the folder of a run.", show_default=False),
    ] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="OPTION=VALUE,...",
            help="A decoding option and the values to try; can be given several times. By default the length "
            "normalisation, its alpha, then the beam size.",
            show_default=False,
        ),
    ] = None,
    metric: Metric = None,
    source: HeldOutSource = None,
    reference: HeldOutReference = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write a new model file; by default MODEL is changed.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the table, write nothing.")] = False,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose beam size, length normalisation and other decoding options on the validation set.

    One option after another is tried with the best of those before it. The best ones are written into the model file,
    where they are what nmt translate does unless told otherwise.

    For example:

      nmt tune runs/quickstart

      nmt tune runs/quickstart --try alpha=0.8,1,1.2 --try beam_size=5,10,20 --metric chrf -o tuned.safetensors
    """
    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    from nmt.inference.find import find_model

    path = find_model(model)  # before the slow import, so that a wrong path is told at once
    from nmt.evaluation.held_out import read_held_out
    from nmt.evaluation.tuning import PLAN, parse_choice
    from nmt.evaluation.tuning import tune as run_trials
    from nmt.inference.model_file import load_model

    plan = [parse_choice(text) for text in tries] if tries else PLAN
    file = load_model(path)
    held_out = read_held_out(file.config, source, reference)
    machine = decoding_options(batch_sentences=batch_size, device=device, threads=threads)

    def measure(decoding: Decoding) -> Measured:
        return held_out.measure(make_translator(_with(file, decoding), **machine))

    wanted = metric.value if metric is not None else _own_metric(file)
    trials: list[Trial] = []
    for trial in run_trials(file.config.decoding, plan, metric=wanted, measure=measure):
        trials.append(trial)
        logger.info("%s: %s %.2f", _name(trial), wanted, trial.measured.scores[wanted])
    _print(trials, sentences=len(held_out.sources))
    best = [trial for trial in trials if trial.best][-1]
    if not dry_run:
        _write(file, best, wanted, len(held_out.sources), output if output is not None else path)


def _own_metric(file: ModelFile) -> str:
    """The metric that chose the model, if it is one of translations."""
    chosen = file.config.training.validation.metric
    return chosen if chosen in ("bleu", "chrf") else "bleu"


def _with(file: ModelFile, decoding: Decoding) -> ModelFile:
    from dataclasses import replace

    return replace(file, config=file.config.model_copy(update={"decoding": decoding}))


def _name(trial: Trial) -> str:
    return f"{trial.option} {trial.value}" if trial.option else "as it was"


def _print(trials: list[Trial], *, sentences: int) -> None:
    from nmt.cli.tables import table

    rows = [["tried", "BLEU", "chrF", "sentences/s", ""]]
    for trial in trials:
        scores = trial.measured.scores
        speed = trial.measured.sentences_per_second
        better = "better" if trial.best and trial.option else ""
        rows.append([_name(trial), f"{scores['bleu']:.2f}", f"{scores['chrf']:.2f}", f"{speed:.1f}", better])
    for line in table(rows):
        typer.echo(line)
    best = [trial for trial in trials if trial.best][-1].decoding
    changed = changes(trials[0].decoding, best)
    typer.echo("")
    typer.echo(f"on {sentences:,} sentences; best: {changed or 'the options as they were'}")


def changes(before: Decoding, after: Decoding) -> str:
    """What is different, as overrides: `beam_size=8 alpha=1.2`."""
    old: dict[str, Any] = before.model_dump()
    return " ".join(
        f"{name}={'null' if value is None else value}"
        for name, value in after.model_dump().items()
        if value != old[name]
    )


def _write(file: ModelFile, best: Trial, metric: str, sentences: int, path: Path) -> None:
    from nmt.inference.model_file import save_model

    tuned = {"metric": metric, "sentences": sentences, **best.measured.scores}
    save_model(
        path,
        weights=file.weights,
        config=file.config.model_copy(update={"decoding": best.decoding}),
        tokenizers=file.tokenizers,
        provenance={**file.provenance, "tuned": tuned},
        shortlist=file.shortlist,
    )
    logger.info("wrote %s; nmt translate uses these options now", path)

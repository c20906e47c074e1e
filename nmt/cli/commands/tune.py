"""`nmt tune`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.loading import choosing_translator, open_models
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
    require_new_file,
)
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmt.config.schema import Config, DecodingConfig
    from nmt.evaluation.tuning import Trial, TrialScores
    from nmt.inference.ensemble import EnsembleMember

OTHER_LENGTH = 0.01
"""By so much may the length of translations change before there is a warning."""


def tune(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="A model file or the folder of a run; several are tuned as the ensemble that they are for nmt "
            "translate.",
            show_default=False,
        ),
    ] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="OPTION=VALUE,...",
            help="A decoding option and the values to try; can be given several times. By default the length "
            "normalisation, its alpha, the beam size, the coverage penalty; of an ensemble first what is averaged.",
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
            help="Write a new model file; by default MODEL is changed. There is none for an ensemble.",
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
    where they are what nmt translate does unless told otherwise. An ensemble has no file of its own: what to tell
    nmt translate is printed.

    For example:

      nmt tune runs/quickstart

      nmt tune runs/quickstart --try alpha=0.8,1,1.2 --try beam_size=5,10,20 --metric chrf -o tuned.safetensors

      nmt tune runs/seed-1 runs/seed-2 runs/seed-3
    """
    if output is not None:
        if models is not None and len(models) > 1:
            raise UsageError("an ensemble has no file of its own that could be written: leave out -o")
        require_new_file(output, overwrite=overwrite)
    members = open_models(models)
    from nmt.evaluation.tuning import ENSEMBLE_PLAN, PLAN, parse_choice, possible, read_tuning_set
    from nmt.evaluation.tuning import tune as run_trials

    several = len(members) > 1
    attention = any(member.file.config.model.attention.score != "none" for member in members)
    usual = possible(ENSEMBLE_PLAN if several else PLAN, attention=attention)
    plan = [parse_choice(text) for text in tries] if tries else usual
    for choice in plan:
        if several and None in choice.values:
            raise UsageError(f"--try {choice.option}: null is not what nmt translate could be told for an ensemble")
    config = members[0].file.config
    held_out = read_tuning_set(config, source, reference)
    machine: dict[str, Any] = {"batch_sentences": batch_size, "device": device, "threads": threads}

    def measure(decoding: DecodingConfig) -> TrialScores:
        changed = [member.with_decoding(decoding) for member in members]
        return held_out.measure(choosing_translator(changed, None, None, **machine))

    wanted = metric.value if metric is not None else _own_metric(config)
    trials: list[Trial] = []
    for trial in run_trials(config.decoding, plan, metric=wanted, measure=measure):
        trials.append(trial)
        logger.info("%s: %s %.2f", _name(trial), wanted, trial.measured.scores[wanted])
    best = [trial for trial in trials if trial.best][-1]
    _print(trials, best, sentences=len(held_out.sources))
    if several:
        typer.echo(f"nmt translate {_flags(members, changes(trials[0].decoding, best.decoding))}")
    elif not dry_run:
        _write(members[0], best, wanted, len(held_out.sources), output)


def _own_metric(config: Config) -> str:
    """The metric that chose the model, if it is one of translations."""
    chosen = config.training.validation.metric
    return chosen if chosen in ("bleu", "chrf") else "bleu"


def _name(trial: Trial) -> str:
    return f"{trial.option} {trial.value}" if trial.option else "as it was"


def _print(trials: list[Trial], best: Trial, *, sentences: int) -> None:
    from nmt.cli.text_table import table

    rows = [["tried", "BLEU", "chrF", "length", "sentences/s", ""]]
    for trial in trials:
        scores, length = trial.measured.scores, trial.measured.length
        speed = trial.measured.sentences_per_second
        better = "better" if trial.best and trial.option else ""
        cells = [f"{scores['bleu']:.2f}", f"{scores['chrf']:.2f}", "-" if length is None else f"{length:.3f}"]
        rows.append([_name(trial), *cells, f"{speed:.1f}", better])
    for line in table(rows):
        typer.echo(line)
    changed = changes(trials[0].decoding, best.decoding)
    found = " ".join(f"{name}={'null' if value is None else value}" for name, value in changed.items())
    typer.echo("")
    typer.echo(f"on {sentences:,} sentences; best: {found or 'the options as they were'}")
    _warn_of_length(trials[0].measured.length, best.measured.length)


def _warn_of_length(before: float | None, after: float | None) -> None:
    """Say so if translations have become longer or shorter: BLEU likes the length of this set."""
    if before and after and abs(after / before - 1) > OTHER_LENGTH:
        logger.warning(
            "translations have %.3f words for each of the references now, %.3f before: what this wins may be the "
            "length of this set, and is lost again on text with longer or shorter references",
            *(after, before),
        )


def changes(before: DecodingConfig, after: DecodingConfig) -> dict[str, Any]:
    """Return the options that are different, and what they are now."""
    old: dict[str, Any] = before.model_dump()
    return {name: value for name, value in after.model_dump().items() if value != old[name]}


def _flags(members: Sequence[EnsembleMember], options: Mapping[str, Any]) -> str:
    """What to tell `nmt translate`, on its command line."""
    from nmt.config.decoding_overrides import flag

    words = [f"-m {shlex.quote(member.name)}" for member in members]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no_{name}"))
        else:
            words.append(f"{flag(name)} {value}")
    return " ".join(words)


def _write(member: EnsembleMember, best: Trial, metric: str, sentences: int, output: Path | None) -> None:
    from nmt.inference.model_file import save_model

    file, path = member.file, output or Path(member.name)
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

"""`nmt tune`."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.loading import config_with_data, load_models
from nmt.cli.options import (
    Metric,
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
from nmt.config.introspection import flag
from nmt.config.schema import Config, DecodingConfig
from nmt.data.folder_lock import lock_output
from nmt.errors import UsageError
from nmt.evaluation.tuning import (
    ENSEMBLE_PLAN,
    PLAN,
    Trial,
    TrialScores,
    TuningSet,
    applicable,
    parse_search_space,
    read_tuning_set,
)
from nmt.evaluation.tuning import tune as run_trials
from nmt.inference.find_model import find_models, model_to_write
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile

LENGTH_TOLERANCE = 0.01
"""Relative change of the translation length above which tuning warns."""


@with_decoding(*COMPUTATION)
def tune(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="Model file, run folder or checkpoint. Several models are tuned as an ensemble. Default: "
            "$NMT_MODEL, or the newest run.",
            show_default=False,
        ),
    ] = None,
    tries: Annotated[
        list[str] | None,
        option(
            "--try",
            metavar="OPTION=VALUE,...",
            help="Decoding option and the values to try. Repeat it for several options. Default: length normalisation, "
            "alpha, beam size and coverage penalty, and for ensembles first the average of the models.",
        ),
    ] = None,
    metric: Metric = None,
    source: ValidationSource = None,
    reference: ValidationReference = None,
    output: Annotated[
        Path | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            help="New model file. Not for ensembles. Default: MODEL is changed.",
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="Print the table, but write no model file.")] = False,
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose beam size, length normalisation and other decoding options on the validation set.

    Options are tuned one after another, each with the best values of the earlier ones. The best values are written
    into the model file and become the defaults of nmt translate. For an ensemble, which has no file of its own, the
    command prints the options for nmt translate.

    For example:

      nmt tune runs/quickstart
      nmt tune runs/quickstart --try alpha=0.8,1,1.2 --try beam_size=5,10
      nmt tune runs/quickstart --metric chrf -o tuned.safetensors
      nmt tune runs/seed-1 runs/seed-2 runs/seed-3
    """
    if output is not None:
        if models is not None and len(models) > 1:
            raise UsageError("-o requires a single model: an ensemble has no model file of its own.")
        require_new_file(output, overwrite=overwrite)
    paths = find_models(models or None)
    unwritten = dry_run or len(paths) > 1
    written = None if unwritten else model_to_write(output, paths[0])
    with contextlib.nullcontext() if written is None else lock_output(written):
        _tune(
            load_models(paths),
            tries,
            metric,
            read=lambda model: read_tuning_set(
                model.config if source or reference else config_with_data(model, "the validation set"),
                source,
                reference,
            ),
            decoding=decoding,
            write=written,
        )


def _tune(
    loaded: list[ModelFile],
    tries: list[str] | None,
    metric: str | None,
    *,
    read: Callable[[ModelFile], TuningSet],
    decoding: dict[str, Any],
    write: Path | None,
) -> None:
    """Run the trials, print their table, and write the best options into a model file."""
    several = len(loaded) > 1
    attention = any(model.config.model.attention.score != "none" for model in loaded)
    usual = applicable(ENSEMBLE_PLAN if several else PLAN, attention=attention)
    plan = [parse_search_space(text) for text in tries] if tries else usual
    for choice in plan:
        if several and None in choice.values:
            raise UsageError(f"--try {choice.option}: null cannot be passed to nmt translate for an ensemble.")
    config = loaded[0].config
    validation = read(loaded[0])

    def measure(trial: DecodingConfig) -> TrialScores:
        from nmt.inference.translator import Translator

        changed = [model.with_decoding(trial) for model in loaded]
        return validation.measure(Translator.from_models(changed, decoding=decoding))

    selected = metric if metric is not None else _model_metric(config)
    trials: list[Trial] = []
    for trial in run_trials(config.decoding, plan, metric=selected, measure=measure):
        trials.append(trial)
        logger.info("%s: %s %.2f", _name(trial), selected, trial.measured.scores[selected])
    best = [trial for trial in trials if trial.best][-1]
    _print(trials, best, sentences=len(validation.sources))
    if several:
        typer.echo(f"nmt translate {_flags(loaded, changes(trials[0].decoding, best.decoding))}")
    elif write is not None:
        _write(loaded[0], best, selected, len(validation.sources), write)


def _model_metric(config: Config) -> str:
    """Return the metric that chose the model in training, or bleu if that is not a metric of translations."""
    metric = config.training.validation.metric
    return metric if metric in ("bleu", "chrf") else "bleu"


def _name(trial: Trial) -> str:
    return f"{trial.option} {trial.value}" if trial.option else "unchanged"


def _print(trials: list[Trial], best: Trial, *, sentences: int) -> None:
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
    shown = " ".join(f"{name}={'null' if value is None else value}" for name, value in changed.items())
    typer.echo("")
    typer.echo(f"on {sentences:,} sentences, best: {shown or 'no change'}")
    _warn_of_length(trials[0].measured.length, best.measured.length)


def _warn_of_length(before: float | None, after: float | None) -> None:
    """Warn if the length of translations has changed: BLEU depends on the length of the references of this set."""
    if before and after and abs(after / before - 1) > LENGTH_TOLERANCE:
        logger.warning(
            "the length of translations relative to the references changed from %.3f to %.3f. The gain may come from "
            "the length of these references and be lost on other text.",
            *(before, after),
        )


def changes(before: DecodingConfig, after: DecodingConfig) -> dict[str, Any]:
    """Return the options that have changed, with their new values."""
    old: dict[str, Any] = before.model_dump()
    return {name: value for name, value in after.model_dump().items() if value != old[name]}


def _flags(models: Sequence[ModelFile], options: Mapping[str, Any]) -> str:
    """Return the options of `nmt translate` for an ensemble."""
    words = [f"-m {shlex.quote(str(model.path))}" for model in models]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else f"--no-{flag(name).removeprefix('--')}")
        else:
            words.append(f"{flag(name)} {value}")
    return " ".join(words)


def _write(model: ModelFile, best: Trial, metric: str, sentences: int, path: Path) -> None:
    from nmt.inference.model_file import save_model

    tuned = {"metric": metric, "sentences": sentences, **best.measured.scores}
    save_model(
        path,
        weights=model.tensors,
        config=model.config.model_copy(update={"decoding": best.decoding}),
        tokenizers=model.tokenizers,
        provenance={**model.provenance, "tuned": tuned},
        shortlist=model.shortlist,
    )
    logger.info("wrote %s with these options as the defaults of nmt translate", path)

"""`nmt distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from nmt.cli.augmentation_options import (
    COMPUTATION,
    Drop,
    NoTrain,
    OutputFolder,
    Overwrite,
    Processes,
    print_result,
    read_flags,
)
from nmt.cli.environment import limit_kernel_caches
from nmt.cli.options import ConfigFile, Overrides, Quiet, Verbose, option
from nmt.cli.schema_options import with_decoding
from nmt.errors import UsageError


@with_decoding(
    "beam_size",
    "n_best",
    *COMPUTATION,
    defaults={"beam_size": "that of the first teacher, or --n-best if that is larger"},
)
def distill(
    config: ConfigFile,
    overrides: Overrides = None,
    teachers: Annotated[
        list[Path] | None,
        option(
            "--teacher",
            metavar="MODEL",
            help="Model file, run folder or checkpoint. Repeat the option for an ensemble of teachers.",
        ),
    ] = None,
    keep: Annotated[
        Literal["original", "none"],
        option(
            "--keep",
            help="original: train on the original pairs too. none: train on distilled pairs only. Default: original.",
        ),
    ] = "original",
    closest: Annotated[
        Literal["bleu", "chrf"],
        option(
            "--closest",
            help="Sentence metric that chooses the hypothesis closest to the reference. Default: bleu.",
        ),
    ] = "bleu",
    drop: Drop = None,
    processes: Processes = 1,
    output: OutputFolder = None,
    no_train: NoTrain = False,
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a student on the translations of its teachers (sequence-level knowledge distillation).

    The teachers translate the training text of CONFIG with beam search (Kim & Rush 2016). The student, the model of
    CONFIG, learns from these translations and from the original pairs. A small student comes close to its teachers.

    With --n-best N, the student gets the hypothesis that is closest to the reference. A line without a usable
    hypothesis is dropped. A distilled pair equal to its original is dropped as a duplicate.

    The output folder has translations.jsonl, the pairs train.*, config.yaml for nmt train, and report.json with counts.
    The run is runs/NAME-distilled. At the end the scores of teachers and student on the validation set are printed.

    Ctrl-C saves and stops. The same command resumes.

    For example:

      nmt distill my.yaml --teacher runs/a --teacher runs/b
      nmt distill my.yaml --teacher runs/a --beam-size 10 --n-best 10 --no-train
    """
    if not teachers:
        raise UsageError("--teacher MODEL is missing: the model that translates the training text.")
    limit_kernel_caches()
    from nmt.augmentation.distill import DROPPED, DistillOptions
    from nmt.augmentation.distill import distill as run

    options = DistillOptions(
        teachers=tuple(teachers),
        keep=keep,
        n_best=decoding.pop("n_best") or 1,
        closest=closest,
        drop=read_flags(drop, DROPPED),
        output=output,
        processes=processes,
        train=not no_train,
        overwrite=overwrite,
        **decoding,
    )
    found = run(config, overrides or [], options)
    print_result(found.config, found.scores)

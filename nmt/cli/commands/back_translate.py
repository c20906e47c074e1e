"""`nmt back-translate`."""

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
    positive,
    print_result,
    read_flags,
)
from nmt.cli.environment import limit_kernel_caches
from nmt.cli.options import ConfigFile, InitFrom, Overrides, Quiet, Verbose, option
from nmt.cli.schema_options import with_decoding, with_options
from nmt.config.schema import CorpusConfig


@with_options("corpus", CorpusConfig, ("weight", "tag"), defaults={"tag": "no symbol"})
@with_decoding(
    "beam_size",
    "top_k",
    "temperature",
    "seed",
    *COMPUTATION,
    defaults={"beam_size": "that of the model", "top_k": "10, with --search top-k"},
)
def back_translate(
    config: ConfigFile,
    overrides: Overrides = None,
    reverse: Annotated[
        list[Path] | None,
        option("--reverse", metavar="MODEL", help="Model of the other direction. Repeat the option for an ensemble."),
    ] = None,
    self_training: Annotated[
        bool, option("--self-training", help="Translate text of the source language with --model instead.")
    ] = False,
    models: Annotated[
        list[Path] | None,
        option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Model for --self-training. Repeat the option for an ensemble.",
        ),
    ] = None,
    monolingual: Annotated[
        list[Path] | None,
        option(
            "--monolingual",
            metavar="FILE",
            help="Text to translate, one sentence per line. Repeat the option for several files.",
        ),
    ] = None,
    max_lines: Annotated[
        int | None, option("--lines", metavar="<int>", min=1, help="Number of lines to translate. Default: all.")
    ] = None,
    search: Annotated[
        Literal["top-k", "sampling", "beam"] | None,
        option(
            "--search",
            help="Sample among the most probable pieces or among all, or search with a beam. Default: top-k, with "
            "--self-training beam.",
        ),
    ] = None,
    length_ratio: Annotated[
        float | None,
        positive(
            "--length-ratio",
            "Largest ratio of the lengths of a pair, in words. Default: data.filters.max_length_ratio of CONFIG.",
        ),
    ] = None,
    init_from: InitFrom = None,
    drop: Drop = None,
    processes: Processes = 1,
    output: OutputFolder = None,
    no_train: NoTrain = False,
    *,
    corpus: dict[str, Any],
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate monolingual text and train on it as a second corpus (back-translation, self-training).

    A model of the other direction translates text of the target language (Sennrich et al. 2016). The target side of the
    new pairs was written by people. By default translations are sampled among the ten most probable pieces, so that
    they vary (Edunov et al. 2018). With --self-training, a model of the same direction translates source text.

    Monolingual lines are dropped if the filters of CONFIG drop them, if they came before, or if they are in its
    validation or test sets. Pairs are dropped for the flags of --drop, as copies, and for the ratio of their lengths.

    The output folder has translations.jsonl, the pairs train.*, config.yaml for nmt train, and report.json with counts.
    The run is runs/NAME-back-translated or runs/NAME-self-trained. At the end scores on the validation set are printed.

    Ctrl-C saves and stops. The same command resumes.

    For example:

      nmt back-translate my.yaml --reverse runs/r --monolingual m.de --tag "<bt>"
      nmt back-translate my.yaml --reverse runs/r --monolingual m.de --search beam
      nmt back-translate my.yaml --self-training -m runs/my --monolingual news.en
    """
    limit_kernel_caches()
    from nmt.augmentation.back_translate import DROPPED, BackTranslateOptions
    from nmt.augmentation.back_translate import back_translate as run

    options = BackTranslateOptions(
        monolingual=tuple(monolingual or ()),
        reverse=tuple(reverse or ()),
        models=tuple(models or ()),
        self_training=self_training,
        max_lines=max_lines,
        search=search,
        length_ratio=length_ratio,
        weight=corpus["weight"] or 1.0,
        tag=corpus["tag"],
        init_from=init_from,
        drop=read_flags(drop, DROPPED),
        output=output,
        processes=processes,
        train=not no_train,
        overwrite=overwrite,
        **decoding,
    )
    found = run(config, overrides or [], options)
    print_result(found.config, found.scores)

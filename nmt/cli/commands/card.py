"""`nmt card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.loading import open_model
from nmt.cli.options import (
    ModelArgument,
    Overwrite,
    Quiet,
    TestScores,
    Verbose,
    check_not_input,
    option,
    require_new_file,
)
from nmt.log import logger


def card(
    model: ModelArgument = None,
    output: Annotated[
        Path | None, option("-o", "--output", metavar="FILE", help="File for the card. Default: standard output.")
    ] = None,
    scores: TestScores = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the model card: languages, data, licences, scores, limits and biases to watch.

    The card is the README.md of model hubs: Markdown with YAML front matter. It has names of files, but no folders. The
    key license of the configuration states the licence of the model. The same key of a training corpus states the
    licence of the corpus.

    For example:

      nmt card runs/quickstart
      nmt evaluate runs/quickstart --json > scores.json
      nmt card runs/quickstart --scores scores.json -o README.md
    """
    if output is not None:
        require_new_file(output, overwrite=overwrite)
        check_not_input(output, [scores])
    loaded = open_model(model)
    from nmt.export.model_card import model_card, read_scores  # slow

    text = model_card(loaded, [] if scores is None else read_scores(scores))
    if output is None:
        typer.echo(text, nl=False)
        return
    from nmt.data.atomic_file import replace_file

    check_not_input(output, [loaded.path])
    with replace_file(output) as stream:
        stream.write(text.encode())
    logger.info("wrote %s", output)

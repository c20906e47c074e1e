"""`nmt shortlist`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from nmt.cli.loading import data_of_run
from nmt.cli.options import ModelArgument, Overwrite, Quiet, Verbose, option, require_new_file
from nmt.cli.schema_options import with_options
from nmt.config.schema import ShortlistConfig
from nmt.data.folder_lock import lock_output
from nmt.errors import UsageError
from nmt.inference.find_model import find_model, model_to_write
from nmt.log import logger


@with_options("table", ShortlistConfig)
def shortlist(
    model: ModelArgument = None,
    output: Annotated[
        Path | None, option("-o", "--output", metavar="FILE", help="New model file. Default: MODEL is changed.")
    ] = None,
    *,
    table: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn the table for `nmt translate --shortlist` and add it to a model.

    The table is learned from the preprocessed training data of the model. Run the command in the folder where the model
    was trained. Training already adds a table to every new model. Numbers that are not given are those of the model.

    For example:

      nmt shortlist runs/quickstart
      nmt shortlist runs/quickstart --translations 100 -o larger.safetensors
    """
    if output is not None:
        require_new_file(output, overwrite=overwrite)
    if table["translations"] == 0:
        raise UsageError("--translations: found 0, expected a whole number of at least 1")
    path = find_model(model)
    written = model_to_write(output, path)
    with lock_output(written):
        from nmt.inference.model_file import load_model
        from nmt.inference.shortlist import add_shortlist

        data = data_of_run(path)
        add_shortlist(load_model(path), written, **table, folder=None if data is None else data.preprocessed_folder)
    logger.info("wrote %s, next step: nmt translate --model %s --shortlist", written, written)

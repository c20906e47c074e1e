"""`nmt merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import Overwrite, Quiet, Verbose, require_new_file
from nmt.inference.output.shards import join_shards, shards_folder
from nmt.log import logger


def merge(
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Output file of the translation, the -o of all shards.", show_default=False
        ),
    ],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Join the parts that `nmt translate --shard` has written.

    All parts must be finished, unchanged, and of the same text, model and options. Otherwise an error names each part
    that is not, and no file is written. The parts are in the folder OUTPUT.shards, which can be deleted afterwards.

    For example:

      seq 40 | parallel nmt translate big.en -o big.de --shard {}/40
      nmt merge big.de
    """
    require_new_file(output, overwrite=overwrite)
    total = join_shards(output)
    logger.info("joined %s shards of %s", f"{total:,}", shards_folder(output))

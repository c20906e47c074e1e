"""`nmt repl`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Annotated

import typer

from nmt.cli.options import (
    Alpha,
    BeamSize,
    Device,
    LengthNormalization,
    Models,
    ModelWeights,
    Precision,
    Quiet,
    Shortlist,
    Threads,
    Verbose,
)
from nmt.errors import NMTError
from nmt.log import logger

PROMPT = "> "


class Shown(str, Enum):
    """Values of --attention."""

    words = "words"
    pieces = "pieces"
    off = "off"


def repl(
    models: Models = None,
    model_weights: ModelWeights = None,
    alternatives: Annotated[
        int,
        typer.Option("--alternatives", min=1, help="Most translations shown for a sentence."),
    ] = 3,
    attention: Annotated[Shown, typer.Option("--attention", help="Between what attention is shown.")] = Shown.words,
    beam_size: BeamSize = None,
    length_normalization: LengthNormalization = None,
    alpha: Alpha = None,
    shortlist: Shortlist = None,
    precision: Precision = None,
    device: Device = None,
    threads: Threads = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate sentences as you type them, with alternatives and what the model looks at.

    A line that begins with a colon is a command, such as :beam 10 or :model runs/other; :help has them all. Ctrl-C
    drops a line or interrupts a translation, Ctrl-D ends. Through a pipe it works as well, without a prompt.

    For example:

      nmt repl

      nmt repl --model runs/quickstart --beam-size 10 --attention pieces
    """
    from nmt.cli.loading import decoding_options
    from nmt.cli.repl_session import Session

    session = Session(
        models,
        weights=model_weights,
        alternatives=alternatives,
        attention=attention.value,
        decoding=decoding_options(
            beam_size=beam_size,
            length_normalization=length_normalization,
            alpha=alpha,
            shortlist=shortlist,
            precision=precision,
            device=device,
            threads=threads,
        ),
    )
    interactive = sys.stdin is not None and sys.stdin.isatty()
    if interactive:
        logger.info("type a sentence; :help shows the commands, Ctrl-D ends")
    failed = False
    for line in _typed() if interactive else _piped():
        try:
            session.answer(line)
        except EOFError:
            break
        except NMTError as error:
            logger.error("%s", error)
            failed = True
        except KeyboardInterrupt:
            if not interactive:
                raise
            logger.warning("interrupted")
    if failed and not interactive:
        raise typer.Exit(1)


def _piped() -> Iterator[str]:
    from nmt.data.lines import read_lines

    return read_lines("-", keep_broken=False)


def _typed() -> Iterator[str]:
    """Give lines as they are typed. Where there is the library readline, they can be edited, and come back with Up."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 (to import it is all that `input` needs)
    while True:
        try:
            yield input(PROMPT)
        except KeyboardInterrupt:
            print()
        except EOFError:
            print()
            return
        except UnicodeDecodeError:
            logger.error("this line is not %s, and was left out", sys.stdin.encoding)

"""`nmt repl`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from nmt.cli.options import Models, ModelWeights, Quiet, Verbose, option
from nmt.cli.schema_options import with_decoding
from nmt.data.lines import read_repaired_lines
from nmt.errors import NMTError
from nmt.log import logger

PROMPT = "> "


@with_decoding("beam_size", "length_normalization", "alpha", "shortlist", "precision", "device", "threads")
def repl(
    models: Models = None,
    model_weights: ModelWeights = None,
    alternatives: Annotated[
        int,
        option("--alternatives", min=1, metavar="<int>", help="Number of hypotheses shown per sentence. Default: 3."),
    ] = 3,
    attention: Annotated[
        Literal["words", "pieces", "off"],
        option("--attention", help="Units of the attention heat map below each translation. Default: words."),
    ] = "words",
    *,
    decoding: dict[str, Any],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate sentences interactively, with alternatives and attention weights.

    Lines that begin with a colon are commands, such as :beam 10 or :model runs/other. The command :help lists all of
    them. Ctrl-C cancels a line or a translation, Ctrl-D ends the session. Input from a pipe works too, without a
    prompt.

    For example:

      nmt repl
      nmt repl --model runs/quickstart --beam-size 10 --attention pieces
    """
    from nmt.cli.repl_session import Session

    session = Session(models, weights=model_weights, alternatives=alternatives, attention=attention, decoding=decoding)
    interactive = sys.stdin is not None and sys.stdin.isatty()
    if interactive:
        logger.info("Type a sentence. :help lists the commands, Ctrl-D ends the session.")
    failed = False
    for line in _typed() if interactive else read_repaired_lines("-"):
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


def _typed() -> Iterator[str]:
    """Yield lines as they are typed. With the library readline they can be edited and recalled with the Up key."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 (`input` uses it once it is imported)
    while True:
        try:
            yield input(PROMPT)
        except KeyboardInterrupt:
            print()
        except EOFError:
            print()
            return
        except UnicodeDecodeError:
            logger.error("skipped a line that is not valid %s", sys.stdin.encoding)

"""The command `nmt`: its subcommands, what all of them share, and how errors leave it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from nmt import __version__, log
from nmt.cli.commands import (
    attention,
    average,
    compare,
    config,
    evaluate,
    plot,
    repl,
    rerank,
    score,
    shortlist,
    train,
    translate,
    tune,
)
from nmt.cli.commands import info as inspect
from nmt.cli.environment import set_up_threads
from nmt.cli.options import Quiet, Verbose
from nmt.errors import Interrupted, NMTError

BROKEN_PIPE = 128 + 13
"""The exit code of a program whose output nobody reads any more, as the shell counts it (SIGPIPE)."""
OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""More than Python's 700, as importing torch alone makes hundreds of thousands, none of them garbage."""


class ErrorsToExitCodes(TyperGroup):
    """Ends with the exit code of an error, its text on standard error and no traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            log.logger.warning("%s", error, exc_info=error.__cause__)
            raise typer.Exit(error.exit_code) from None
        except NMTError as error:
            log.logger.error("%s", error, exc_info=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            log.logger.warning("interrupted")
            raise typer.Exit(128 + signal.SIGINT) from None
        except BrokenPipeError:
            _ignore_output()
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            log.logger.error("%s%s", where, error.strerror or error, exc_info=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="nmt",
    cls=ErrorsToExitCodes,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt {__version__}")
        raise typer.Exit


@app.callback()
def nmt(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Recurrent machine translation with attention: from two text files to a measured translator.

    For example:

      nmt config init --source data/train.en --target data/train.de -o experiment.yaml

      nmt train experiment.yaml

      echo "A sentence." | nmt translate

      nmt evaluate
    """
    if not (quiet or verbose):
        log.setup(level=logging.INFO)


app.command("preprocess")(train.preprocess)
app.command("train")(train.train)
app.command("translate")(translate.translate)
app.command("score")(score.score)
app.command("repl")(repl.repl)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("attention")(attention.attention)
app.command("plot")(plot.plot)
app.command("average")(average.average)
app.command("tune")(tune.tune)
app.command("rerank")(rerank.rerank)
app.command("shortlist")(shortlist.shortlist)
app.add_typer(config.app, name="config")
app.command("info")(inspect.info)
app.command("doctor")(inspect.doctor)


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    set_up_threads()
    _speak_utf8()
    signal.signal(signal.SIGTERM, _terminate)
    code = 0
    try:
        app(prog_name="nmt")
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else 0
    except Exception as error:
        log.logger.error(
            "unexpected %s: %s\n"
            "This should not happen. Please report it, with what the same command prints when given --verbose.",
            type(error).__name__,
            error,
            exc_info=True,
        )
        code = 1
    code = _flush() or code
    if threading.active_count() > 1:
        # A thread may be waiting for a line of standard input that never comes, and holds what Python needs to end.
        logging.shutdown()
        os._exit(code)
    gc.freeze()  # before it ends, Python would look at every object once more, of which torch makes many
    sys.exit(code)


def _speak_utf8() -> None:
    """Make both output streams UTF-8, whatever the locale says; bytes of odd file names go out as they came in."""
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors, newline="\n")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave through all `finally` blocks, so that no temporary file stays behind."""
    raise SystemExit(128 + number)


def _flush() -> int:
    """Write out what is left; return the exit code if that fails, else 0."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _ignore_output()
        return BROKEN_PIPE
    except OSError as error:
        log.logger.error("standard output: %s", error.strerror)
        _ignore_output()
        return 1
    return 0


def _ignore_output() -> None:
    """Let the interpreter's own flush at exit go nowhere, so that it does not complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

"""The program `nmt`: its commands, exit codes, signals and streams."""

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

from nmt import __version__, log
from nmt.cli.command_types import CommandGroup, LazyCommand
from nmt.cli.environment import disable_plugins, postpone_import, set_up_threads
from nmt.cli.options import Quiet, Verbose
from nmt.errors import Interrupted, NMTError, UsageError, shorten_message
from nmt.terminal import visible_streams

BROKEN_PIPE = 128 + 13
"""The exit code of a program whose output is closed, as in the shell (SIGPIPE)."""
USAGE_ERROR: Any = typer.BadParameter.__base__
"""The errors of the command line parser."""
OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Threshold of garbage collection instead of 700: importing torch creates hundreds of thousands of objects."""


EXTRAS = {
    "torch": ("PyTorch", "train"),
    "matplotlib": ("matplotlib", "plots"),
    "zstandard": ("zstandard", "zst"),
    "onnx": ("ONNX", "fast"),
    "onnxruntime": ("ONNX Runtime", "fast"),
    "ray": ("Ray", "ray"),
    "optuna": ("Optuna", "search"),
}
"""Packages that the basic installation does not have: their names, and the extras that install them."""


COMMANDS = {
    "preprocess": ("train:preprocess", "Filter the training text and convert it to subword pieces."),
    "train": ("train:train", "Train a model."),
    "translate": ("translate:translate", "Translate text."),
    "merge": ("merge:merge", "Join the shards of a translation."),
    "score": ("score:score", "Compute the log-probability of given translations."),
    "repl": ("repl:repl", "Translate interactively."),
    "serve": ("serve:serve", "Serve models to other programs and browsers."),
    "evaluate": ("evaluate:evaluate", "Translate test sets and compute BLEU, chrF and TER."),
    "compare": ("compare:compare", "Compare systems on a test set, with significance tests."),
    "attention": ("attention:attention", "Show attention weights and word alignments."),
    "plot": ("plot:plot", "Plot learning curves."),
    "average": ("average:average", "Average the weights of checkpoints."),
    "tune": ("tune:tune", "Choose decoding options on the validation set."),
    "rerank": ("rerank:rerank", "Rerank n-best lists with other models."),
    "shortlist": ("shortlist:shortlist", "Add a shortlist to a model."),
    "sweep": ("sweep:sweep", "Train variants of an experiment and print a table."),
    "distill": ("distill:distill", "Train a student on translations of its teachers."),
    "back-translate": ("back_translate:back_translate", "Train on translated monolingual text."),
    "config": ("config:app", "Create, check and show configurations."),
    "bench": ("bench:bench", "Measure the speed of a model on this machine."),
    "export": ("export:app", "Convert a model for other programs."),
    "card": ("card:card", "Write a model card."),
    "info": ("info:info", "Describe a model."),
    "doctor": ("info:doctor", "Describe this installation and machine."),
}
"""The function of each command in `nmt.cli.commands`, and its line in the list of commands."""


class Program(CommandGroup):
    """All commands. An error ends the program with its exit code and text, without a traceback."""

    def __init__(self, **settings: Any) -> None:
        """Adds the commands, whose modules are imported when they are needed."""
        super().__init__(**settings)
        for name, (target, short_help) in COMMANDS.items():
            self.commands[name] = LazyCommand(name, f"nmt.cli.commands.{target}", short_help)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program with escapes for unsafe characters in all text that people read."""
        with visible_streams():
            return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and convert errors to exit codes."""
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            error.message = shorten_message(error.message)
            raise
        except Interrupted as error:
            log.logger.warning("%s", error, exc_info=error.__cause__)
            raise typer.Exit(error.exit_code) from None
        except NMTError as error:
            log.logger.error("%s", error, exc_info=True)
            raise typer.Exit(error.exit_code) from None
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            name, extra = EXTRAS[error.name]
            message = '%s is required, but not installed. Run: pip install "attention-nmt[%s]"'
            log.logger.error(message, name, extra, exc_info=True)
            raise typer.Exit(UsageError.exit_code) from None
        except MemoryError:
            log.logger.error("not enough memory. Use smaller batches, a smaller beam or a smaller model", exc_info=True)
            raise typer.Exit(1) from None
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
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(given: bool) -> None:
    if given:
        typer.echo(f"nmt {__version__}")
        raise typer.Exit


@app.callback()
def nmt(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train, use and evaluate machine translation models with recurrent networks and attention.

    For example:

      nmt config init --source data/train.en --target data/train.de -o my.yaml
      nmt train my.yaml
      echo "A sentence." | nmt translate
      nmt evaluate
    """
    if not (quiet or verbose):
        log.setup(level=logging.INFO)


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    set_up_threads()
    disable_plugins()
    for name in ("secrets", "pickle", "zipfile"):  # pydantic imports the first, and with it 4 MB of OpenSSL
        postpone_import(name)
    _set_utf8()
    signal.signal(signal.SIGTERM, _terminate)
    code = 0
    try:
        app(prog_name="nmt")
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else 0
    except Exception as error:
        log.logger.error(
            "unexpected %s: %s\n"
            "This is a bug. Please report it, with the output of the same command with --verbose and of nmt doctor.",
            type(error).__name__,
            error,
            exc_info=True,
        )
        code = 1
    code = _flush() or code
    if threading.active_count() > 1:
        # A thread that waits for a line of standard input would keep Python from ending.
        logging.shutdown()
        os._exit(code)
    gc.freeze()  # so that Python does not visit every object again when it ends
    sys.exit(code)


def _set_utf8() -> None:
    """Make both output streams UTF-8 in any locale."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Exit through all `finally` blocks, so that temporary files are removed."""
    raise SystemExit(128 + number)


def _flush() -> int:
    """Flush standard output. Return an exit code if that fails, otherwise 0."""
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
    """Redirect standard output to the null device, so that the final flush of the interpreter cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

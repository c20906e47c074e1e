"""Options that both scripts have, and how they translate."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.commands import count, names
from nmt.inference.output.quality_flags import FLAGS


def make_parser(program: str, about: str, details: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that both scripts have."""
    parser = argparse.ArgumentParser(
        prog=program, description=about, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the experiment, a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options for the new run")
    return parser


def add_shared(parser: argparse.ArgumentParser, *, out: str, drop: Sequence[str]) -> None:
    """Add the options that both scripts have.

    Args:
        parser: They go behind those that it has.
        out: The folder that text goes to, as help says it.
        drop: The flags that pairs are dropped for.
    """
    add = parser.add_argument
    add(
        "--drop",
        type=names([*FLAGS, "nothing"]),
        default=list(drop),
        metavar="FLAGS",
        help=f"translations that are not used, of {', '.join(FLAGS)} ({','.join(drop)}); or: nothing",
    )
    add("--precision", choices=["fp32", "bf16", "int8"], help="of the models that translate (their own)")
    add("--device", choices=["auto", "cpu", "cuda"], help="where they compute (their own)")
    add("--threads", type=count, metavar="N", help="processor threads of translation (all cores)")
    add("--processes", type=count, default=1, metavar="N", help="translate in so many, with one thread each (1)")
    add("--out", type=Path, metavar="FOLDER", help=f"of text and configuration ({out})")
    add("--no-train", action="store_true", help="only make the text and the configuration")
    add("--overwrite", action="store_true", help="replace text that was made in another way, and the run")


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    options = parser.parse_intermixed_args(arguments)
    if not options.config.is_file():
        parser.error(f"no such file: {options.config}")
    if options.processes > 1 and (options.threads is not None or options.device == "cuda"):
        parser.error("--processes are for processors, and compute with one thread each: leave out the others")
    options.drop = [flag for flag in options.drop if flag != "nothing"]
    return options


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return decoding options that say where and how fast; they change no text but for rounding."""
    return {"device": options.device, "threads": options.threads}

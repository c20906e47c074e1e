"""What the commands of the experiments share."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence

from nmt import log
from nmt.errors import NMTError


def count(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def names(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what reads names with commas between them, each one of `known`."""

    def split(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return found

    return split


def run_command(command: Callable[[], None]) -> int:
    """Run a command and return its exit code; what the user can mend is told without a traceback."""
    log.setup(level=logging.INFO)
    try:
        command()
    except NMTError as error:
        log.logger.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        log.logger.warning("interrupted; the same command goes on")
        return 130
    return 0

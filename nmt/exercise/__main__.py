"""Makes the exercise corpus: ``python -m nmt.exercise --output data/exercise``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from nmt.errors import NMTError
from nmt.exercise.corpus import make_corpus
from nmt.log import logger, setup


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return number


def main() -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.exercise",
        description="Make an exercise corpus: English-German sentence pairs from a synthetic grammar, with gold word "
        "alignments. Files that are up to date are left alone.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where to write the files")
    parser.add_argument("--seed", type=_count, default=1, help="the same seed gives the same corpus (default: 1)")
    for split, size in (("train", 20_000), ("valid", 500), ("test", 500)):
        parser.add_argument(f"--{split}", type=_count, default=size, metavar="PAIRS", help=f"default: {size}")
    arguments = parser.parse_args()
    setup(level=logging.INFO)
    sizes = {split: getattr(arguments, split) for split in ("train", "valid", "test")}
    try:
        make_corpus(folder=arguments.output, seed=arguments.seed, sizes=sizes)
    except NMTError as error:
        logger.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What can go wrong through no fault of the code: each error says what is wrong and what to do."""

from __future__ import annotations

TRANSLATIONS = "Each line of one must be the translation of the same line of the other."
LINKS = "Each line must have the links of the same line of the text; it may be empty."


class NMTError(Exception):
    """A problem that the user can mend. The command line prints its text alone and exits with ``exit_code``."""

    exit_code = 1


class ConfigError(NMTError):
    """A configuration that cannot be used: unknown key, wrong type, contradiction. Lists every problem at once."""

    exit_code = 2


class UsageError(NMTError):
    """A command called in a way that cannot work: an existing run without --resume, no model to be found."""

    exit_code = 2


class DataError(NMTError):
    """A text file that cannot be read as promised: missing, wrongly encoded, of unequal length."""


class UnequalLines(DataError):
    """Two files, or texts, whose lines belong together and that have not as many.

    Args:
        first: What the one is called, such as its path.
        lines: How many lines it has.
        second: What the other is called.
        wanted: How many lines that has.
        rule: What a line of one must be to the same line of the other: a sentence.
    """

    def __init__(self, first: str, lines: int, second: str, wanted: int, *, rule: str = TRANSLATIONS) -> None:
        noun = "line" if lines == 1 else "lines"
        super().__init__(f"{first} has {lines:,} {noun}, but {second} has {wanted:,}. {rule}")


class CheckpointError(NMTError):
    """A checkpoint or model file that cannot be loaded or does not fit."""


class TrainingError(NMTError):
    """Training that cannot go on: it diverged, or ran out of memory."""


class Interrupted(NMTError):
    """A run that was asked to stop by a signal, and has saved what it had."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number

"""Errors that the user can fix. Each message says what is wrong, where, and what to do."""

from __future__ import annotations

from nmt.terminal import visible

TRANSLATION_RULE = "Line n of one must be the translation of line n of the other."
LINK_RULE = "Each line must hold the alignment links of the same line of the text. It may be empty."


MAX_LINES = 100
MAX_LINE_START, MAX_LINE_END = 500, 250
SHORTEST_GAP = 100
"""Longest message: lines, and characters at the start and end of a line. A message may quote text of any length."""


def shorten_message(text: str) -> str:
    """Return a message without the middle of long lines and without the lines after the first `MAX_LINES`."""
    lines = text.split("\n")
    if len(lines) > MAX_LINES + 1:
        lines[MAX_LINES:] = [f"({len(lines) - MAX_LINES:,} more lines)"]
    return "\n".join(map(_shorten_line, lines))


def _shorten_line(line: str) -> str:
    left_out = len(line) - MAX_LINE_START - MAX_LINE_END
    if left_out <= SHORTEST_GAP:
        return line
    return f"{line[:MAX_LINE_START]} ... ({left_out:,} characters) ... {line[-MAX_LINE_END:]}"


class NMTError(Exception):
    """An error that the user can fix.

    The command line prints the message without a traceback and exits with `exit_code`. A message may quote the text of
    strangers: it is shortened, and control characters are shown as escapes.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten_message(visible(message)))


class ConfigError(NMTError):
    """An invalid configuration: unknown keys, wrong types, conflicting options. The message lists every problem."""

    exit_code = 2


class UsageError(NMTError):
    """An invalid call, for example training into an existing run without --resume."""

    exit_code = 2


class DataError(NMTError):
    """Unusable input or output data: a missing file, a wrong encoding, text files of different length."""


class UnequalLines(DataError):
    """Different numbers of lines in two texts that must be parallel.

    Args:
        first: Name or path of one text.
        lines: Its number of lines.
        second: Name or path of the other text.
        expected: The other text's number of lines.
        rule: A sentence that says how the lines of both texts correspond.
    """

    def __init__(self, first: str, lines: int, second: str, expected: int, *, rule: str = TRANSLATION_RULE) -> None:
        noun = "line" if lines == 1 else "lines"
        super().__init__(f"{first} has {lines:,} {noun}, but {second} has {expected:,}. {rule}")


class CheckpointError(NMTError):
    """A checkpoint or model file that is damaged, or does not fit the configuration."""


class TrainingError(NMTError):
    """Training that cannot continue, because it diverged or ran out of memory."""


class Interrupted(NMTError):
    """A run that saved its state after a signal and stopped. The exit code is 128 plus the signal's number."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number

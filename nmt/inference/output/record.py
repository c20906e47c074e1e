"""The record of an unfinished output: what makes it, and how far it is.

While `nmt translate` writes OUTPUT, the file .OUTPUT.resume is beside it. Its first line is JSON with the origin of the
output: models, options and format. Each further line is a point: the number of translated lines, the bytes of their
translations, and digests of both texts up to there. A killed process leaves the record, and `--resume` continues from
the last point that the output has. The record is deleted when the output is complete.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from nmt.data.atomic_file import write_file
from nmt.data.streams import open_output, salvage_bytes
from nmt.errors import DataError, UsageError
from nmt.inference.output.writer import FLUSH_SECONDS, truncate_output
from nmt.inference.streaming import SourceLine
from nmt.log import logger
from nmt.small_files import JSONError, open_regular, parse_json

SUFFIX = ".resume"
FORMAT = 1
SHARE_OF_TIME = 0.001
"""Points are at least this share of the elapsed time apart, so that the record stays small."""
MAX_POINTS = 1_000_000


class ResumePoint(NamedTuple):
    """A place up to which an output is complete."""

    lines: int = 0
    """Translated lines."""
    size: int = 0
    """Bytes of their translations, uncompressed."""
    source: str = ""
    """Digest of the lines with their own constraints."""
    written: int = 0
    """CRC-32 of the translations."""


class OutputRecord:
    """The record of one output file."""

    def __init__(self, output: Path, origin: Mapping[str, Any]) -> None:
        """Describe the record, without reading or writing it.

        Args:
            output: The output file.
            origin: What determines the output, as JSON values by name.
        """
        self.output = output
        self.path = output.with_name(f".{output.name}{SUFFIX}")
        self._origin: dict[str, Any] = json.loads(json.dumps(dict(origin)))
        self._digests: deque[str] = deque()

    def last_point(self) -> ResumePoint | None:
        """Return where to continue the output; None if there is no record. No file changes.

        Raises:
            UsageError: The record is that of other models or options, or the output was changed.
            DataError: The record or the output cannot be read.
        """
        if not os.path.exists(self.path):
            return None
        origin, points = self._read()
        differing = sorted(
            name for name in origin.keys() | self._origin.keys() if origin.get(name) != self._origin.get(name)
        )
        if differing:
            raise UsageError(
                f"--resume cannot continue {self.output}, because it was begun with another {', '.join(differing)}. "
                "Use the same command as then, or --overwrite."
            )
        return _last_reached(self.output, points)

    def _read(self) -> tuple[dict[str, Any], list[ResumePoint]]:
        """Return the origin and the points. An incomplete last line is ignored."""
        try:
            with open_regular(self.path) as stream:
                lines = [line for line in islice(stream, MAX_POINTS) if line.endswith(b"\n")]
            header = parse_json(lines[0])
            points = [ResumePoint(**parse_json(line)) for line in lines[1:]]
            valid = header["format"] == FORMAT and all(
                (type(point.lines), type(point.size), type(point.source), type(point.written)) == (int, int, str, int)
                for point in points
            )
            origin: dict[str, Any] = header["origin"]
            if not valid or not isinstance(origin, dict):
                raise ValueError
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}.") from error
        except (JSONError, ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{self.path}: the record of {self.output} is damaged, so --resume cannot continue it. Use --overwrite."
            ) from error
        return origin, points

    def follow(self, lines: Iterable[SourceLine], start: ResumePoint) -> Iterator[SourceLine]:
        """Pass all lines of the text on, and compute the digests of the points.

        Raises:
            UsageError: The lines before `start` are not those that were translated.
        """
        import hashlib  # loads OpenSSL, which a translation on standard output does not need

        digest, number = hashlib.sha256(), 0
        for number, line in enumerate(lines, 1):
            digest.update(repr((line.text, line.prefix, line.required)).encode(errors="surrogatepass"))
            if number == start.lines and digest.hexdigest() != start.source:
                raise self._other_text()
            if number > start.lines:
                self._digests.append(digest.hexdigest())
            yield line
        if number < start.lines:
            raise self._other_text()

    def _other_text(self) -> UsageError:
        return UsageError(
            f"--resume cannot continue {self.output}, because its lines are translations of another text or with other "
            "constraints. Use the same input as then, or --overwrite."
        )

    def write(self, blocks: Iterable[str], start: ResumePoint) -> None:
        """Write the translations of the lines after `start`, and delete the record at the end.

        Nothing is changed before the first block arrives.

        Args:
            blocks: The output of each line of `follow` after `start`.
            start: The place in the output after which they are written.

        Raises:
            DataError: The output cannot be written.
        """
        blocks = iter(blocks)
        first = list(islice(blocks, 1))
        with contextlib.closing(self._begin(start)) as points:
            if start.size:
                truncate_output(self.output, start.size)
            self._write(chain(first, blocks), start, points)
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _write(self, blocks: Iterable[str], start: ResumePoint, points: IO[bytes]) -> None:
        point, begun = start, time.monotonic()
        due = begun + FLUSH_SECONDS
        with open_output(self.output, append=start.size > 0) as stream:
            for block in blocks:
                data = block.encode()
                stream.write(data)
                digest = self._digests.popleft()
                point = ResumePoint(point.lines + 1, point.size + len(data), digest, zlib.crc32(data, point.written))
                now = time.monotonic()
                if now >= due:
                    stream.flush()
                    self._add(points, point)
                    due = now + max(FLUSH_SECONDS, SHARE_OF_TIME * (now - begun))

    def _begin(self, start: ResumePoint) -> IO[bytes]:
        """Write a new record, and return its stream. If it cannot be written, warn and return another stream."""
        header = {"format": FORMAT, "origin": self._origin}
        lines = [json.dumps(header), *([json.dumps(start._asdict())] if start.lines else [])]
        try:
            write_file(self.path, "".join(f"{line}\n" for line in lines).encode())
            return open(self.path, "ab")
        except OSError as error:
            logger.warning(
                "%s: cannot be written (%s). --resume will not be able to continue the output.",
                *(self.path, error.strerror or error),
            )
            return io.BytesIO()

    @staticmethod
    def _add(points: IO[bytes], point: ResumePoint) -> None:
        points.write(f"{json.dumps(point._asdict())}\n".encode())
        points.flush()


def _last_reached(output: Path, points: list[ResumePoint]) -> ResumePoint:
    """Return the last point whose bytes the output has.

    Raises:
        UsageError: The output has other bytes.
    """
    reached, checksum, size = ResumePoint(), 0, 0
    remaining = deque(points)
    for chunk in salvage_bytes(output) if output.exists() else ():
        view = memoryview(chunk)
        while remaining and remaining[0].size <= size + len(view):
            part = view[: remaining[0].size - size]
            checksum = zlib.crc32(part, checksum)
            size += len(part)
            view = view[len(part) :]
            if checksum != remaining[0].written:
                raise UsageError(
                    f"--resume cannot continue {output}, because the file was changed after it was written. Restore "
                    "it, or use --overwrite."
                )
            reached = remaining.popleft()
        checksum = zlib.crc32(view, checksum)
        size += len(view)
    return reached

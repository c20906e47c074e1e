"""`nmt translate` of a text, by this process or several, from its start or from the end of an unfinished output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.cli.line_writer import LineWriter, WriterMaker
from nmt.cli.options import STANDARD_STREAM
from nmt.data.lines import read_repaired_lines
from nmt.errors import UsageError
from nmt.inference.output.formats import Format
from nmt.inference.output.record import OutputRecord, ResumePoint
from nmt.inference.output.writer import count_translated, with_progress, write_blocks
from nmt.inference.streaming import SourceLine, Windowing, number_lines, windows
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.output.worker_pool import WorkerPool


class Workers(NamedTuple):
    """The processes that translate."""

    processes: int | None
    """Their number. None: one, or all processors of the cluster."""
    ray: str | None
    """Address of a Ray cluster. None: processes of this machine."""

    @property
    def are_this_process(self) -> bool:
        """Whether this process itself translates."""
        return self.ray is None and (self.processes or 1) == 1

    def prepare(self, maker: WriterMaker) -> Callable[[], LineWriter]:
        """Return what makes the writer of a process."""
        single = replace(maker, decoding={**maker.decoding, "threads": 1, "device": "cpu"})
        return single if self.ray is None else single.packed()

    def pool(self, make: Callable[[], Any]) -> WorkerPool:
        """Start the processes, each with a worker of its own."""
        if self.ray is None:
            from nmt.inference.output.worker_pool import ProcessPool  # slow to import

            return ProcessPool(make, processes=self.processes or 1)
        from nmt.inference.output.ray_pool import RayPool

        return RayPool(make, address=self.ray, processes=self.processes)


def translate_text(
    maker: WriterMaker, file: Path, output: Path, workers: Workers, *, resume: bool, strict: bool, progress: bool
) -> None:
    """Translate a text, or the part of it that is not translated yet.

    Args:
        maker: Describes the writer.
        file: The text, one sentence per line.
        output: The output file, or standard output.
        workers: The processes that translate.
        resume: Whether an unfinished output is continued.
        strict: Whether a line that is not UTF-8 is refused.
        progress: Whether progress is reported.

    Raises:
        UsageError: The output cannot be continued.
    """
    record = None
    if output != STANDARD_STREAM and (output.is_file() or not output.exists()):
        record = OutputRecord(output, maker.origin())
    elif resume:
        raise UsageError(f"--resume cannot continue {output}, because it is not a regular file.")
    start = _resume_point(record, file, maker.layout.format) if record is not None and resume else ResumePoint()
    if start is None:
        return
    maker = replace(maker, windowing=Windowing(after=start.lines, complete=file.is_file()))
    writer = maker() if workers.are_this_process else None
    lines = maker.constraints.attach(number_lines(read_repaired_lines(file, strict=strict)))
    if record is not None:
        lines = record.follow(lines, start)
    blocks = _in_processes(maker, lines, workers) if writer is None else writer.write(lines)
    if progress:
        blocks = with_progress(blocks, file, skipped=start.lines)
    if record is None:
        write_blocks(blocks, output, append=False)
    else:
        record.write(blocks, start)


def _in_processes(maker: WriterMaker, lines: Iterator[SourceLine], workers: Workers) -> Iterator[str]:
    from nmt.inference.output.worker_pool import WINDOW, in_processes  # slow to import

    return in_processes(workers.pool(workers.prepare(maker)), windows(lines, WINDOW, maker.windowing))


def _resume_point(record: OutputRecord, file: Path, format: Format) -> ResumePoint | None:
    """Return the place from which an output is continued; None if it is complete.

    Raises:
        UsageError: The output is of another text, model or command.
    """
    output = record.output
    point = record.last_point()
    if point is not None:
        logger.info("resuming after line %s", f"{point.lines:,}")
        return point
    if not output.exists() or not output.stat().st_size:
        return ResumePoint()
    from nmt.data.corpus import inspect_file  # only a complete output needs it

    translated = count_translated(output, format)
    if file.is_file() and translated == inspect_file(file).lines:
        logger.info("%s is complete: it has translations of %s lines", output, f"{translated:,}")
        return None
    raise UsageError(
        f"--resume cannot continue {output}. It has translations of {translated:,} lines, but no record of the text "
        f"and the model ({record.path.name}). Use --overwrite, or another -o."
    )

"""`nmt translate` of many files, or of one shard of a text: finished files are skipped, and begun ones continued."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from nmt.cli.bulk_inputs import BulkInput, FileTask
from nmt.cli.document_translation import DocumentOptions, fill_document, read_document
from nmt.cli.line_writer import LineWriter, WriterMaker
from nmt.cli.loading import load_models
from nmt.cli.text_translation import Workers
from nmt.data.corpus import FileFacts, inspect_file
from nmt.data.folder_lock import lock_folder
from nmt.data.lines import ALL_LINES, LineRange, read_repaired_lines
from nmt.errors import DataError, NMTError
from nmt.inference.documents import Languages, document_kind
from nmt.inference.documents.document import Document
from nmt.inference.output.file_record import FileRecord
from nmt.inference.output.record import OutputRecord, ResumePoint
from nmt.inference.output.worker_pool import WINDOW, WorkerPool, in_order
from nmt.inference.output.writer import ProgressReport
from nmt.inference.streaming import SourceLine, Windowing, number_lines, windows
from nmt.log import logger


@dataclass(frozen=True)
class BulkOptions:
    """What holds for all files.

    Attributes:
        folder: the output folder.
        document: options of documents.
        strict: whether a line that is not UTF-8 is refused.
        overwrite: whether earlier translations are replaced.
        progress: whether progress is reported.
    """

    folder: Path
    document: DocumentOptions
    strict: bool
    overwrite: bool
    progress: bool


class Work(NamedTuple):
    """Lines for a worker."""

    lines: Sequence[SourceLine]
    protect: bool
    """Whether the lines are those of a document, whose inline elements are protected."""


@dataclass(frozen=True)
class BulkWorkerMaker:
    """Describes a worker for texts and documents. It can be sent to another process.

    Attributes:
        makers: describe the writers, by the value of `Work.protect`.
    """

    makers: Mapping[bool, Callable[[], LineWriter]]

    def __call__(self) -> Callable[[Work], list[str]]:
        """Make the worker."""
        writers = {protect: maker() for protect, maker in self.makers.items()}
        return lambda work: writers[work.protect](work.lines)


def translate_files(maker: WriterMaker, bulk: BulkInput, options: BulkOptions, workers: Workers) -> None:
    """Translate many files, or a shard of a text; see `BulkTranslation.run`."""
    with lock_folder(bulk.lock):
        pool = None
        if not workers.are_this_process:
            makers = makers_for(maker, bulk.tasks)
            pool = workers.pool(BulkWorkerMaker({kind: workers.prepare(each) for kind, each in makers.items()}))
        BulkTranslation(maker, options).run(bulk.tasks, pool)


def makers_for(maker: WriterMaker, tasks: Sequence[FileTask]) -> dict[bool, WriterMaker]:
    """Return the makers of the writers that the files need, by the value of `Work.protect`."""
    documents = {document_kind(task.source) is not None for task in tasks}
    protect = maker.decoding.get("protect") is not False
    return {
        kind: replace(maker, decoding={**maker.decoding, "protect": protect}) if kind else maker for kind in documents
    }


@dataclass(eq=False)
class _TextJob:
    task: FileTask
    record: FileRecord
    facts: FileFacts
    output: OutputRecord
    start: ResumePoint
    block: LineRange
    maker: WriterMaker
    strict: bool
    protect: bool = field(default=False, init=False)

    @property
    def windowing(self) -> Windowing:
        return Windowing(after=self.start.lines, complete=True, first=self.block.first)

    @property
    def skipped(self) -> int:
        return self.start.lines

    def lines(self) -> Iterator[SourceLine]:
        text = read_repaired_lines(self.task.source, strict=self.strict, lines=self.block)
        numbered = number_lines(text, self.block.first + 1)
        return self.output.follow(self.maker.constraints.attach(numbered, self.block), self.start)

    def write(self, texts: Iterator[str]) -> None:
        self.output.write(texts, self.start)
        self.record.finish(self.facts)


@dataclass(eq=False)
class _DocumentJob:
    task: FileTask
    record: FileRecord
    facts: FileFacts
    document: Document
    options: DocumentOptions
    windowing: Windowing = field(default=Windowing(complete=True), init=False)
    protect: bool = field(default=True, init=False)
    skipped: int = field(default=0, init=False)

    def lines(self) -> Sequence[SourceLine]:
        return list(number_lines(self.document.lines))

    def write(self, texts: Iterator[str]) -> None:
        fill_document(
            self.document,
            [text.removesuffix("\n") for text in texts],
            self.record.output,
            file=self.task.source,
            fill=self.options.fill or "missing",
        )
        self.record.finish(self.facts)


_Job = _TextJob | _DocumentJob


class _Tag(NamedTuple):
    """What a window is of."""

    job: _Job
    skip: int = 0
    """Number of lines at the start of the window whose translations are in the output."""
    error: NMTError | None = None
    """Why the rest of the file cannot be read."""


class BulkTranslation:
    """Translates many files with the same models and options."""

    def __init__(self, maker: WriterMaker, options: BulkOptions) -> None:
        self._maker = maker
        self._options = options
        self._origin: dict[str, Any] = {}
        self._languages: Languages | None = None
        self._finished = 0
        self._failed: list[Path] = []

    def run(self, tasks: Sequence[FileTask], pool: WorkerPool | None) -> None:
        """Translate all files. A file that cannot be read does not stop the others.

        Args:
            tasks: the files.
            pool: the processes that translate; None means this process.

        Raises:
            UsageError: a file of the output folder is of another model, option or text.
            DataError: some files could not be translated. Earlier messages name them.
        """
        self._origin = self._maker.origin()
        if not self._options.overwrite:
            for task in tasks:
                self._record(task).state(None)  # before hours of work
        progress = ProgressReport([task.source for task in tasks]) if self._options.progress else None
        with progress or nullcontext():
            done = 0
            for job, texts in self._translated(tasks, pool):
                if progress is not None:
                    progress.skip(job.skipped)
                    texts = progress.follow(texts)
                with self._reported(job.task):
                    job.write(texts)
                    done += 1
        logger.info("%s files translated, %s finished before", f"{done:,}", f"{self._finished:,}")
        if self._failed:
            raise DataError(f"{len(self._failed):,} of {len(tasks):,} files could not be translated. See above.")

    @contextmanager
    def _reported(self, task: FileTask) -> Iterator[None]:
        """Log an error of a file that does not concern the others."""
        try:
            yield
        except DataError as error:
            logger.error("%s", error)
            self._failed.append(task.source)

    def _translated(self, tasks: Sequence[FileTask], pool: WorkerPool | None) -> Iterator[tuple[_Job, Iterator[str]]]:
        """Yield each job with its translations, which are read before the next job."""
        if pool is None:
            writers: dict[bool, LineWriter] = {}
            for job in self._jobs(tasks):
                if job.protect not in writers:
                    writers[job.protect] = makers_for(self._maker, [job.task])[job.protect]()
                yield job, writers[job.protect].write(job.lines(), job.windowing)
            return
        results = in_order(pool, self._windows(tasks))
        for job, group in itertools.groupby(results, key=lambda result: result[0].job):
            yield job, _texts(group)

    def _windows(self, tasks: Sequence[FileTask]) -> Iterator[tuple[_Tag, Work | None]]:
        for job in self._jobs(tasks):
            yield _Tag(job), None
            try:
                for window in windows(job.lines(), WINDOW, job.windowing):
                    first = job.windowing.first + job.windowing.after
                    yield _Tag(job, sum(line.number <= first for line in window)), Work(window, job.protect)
            except DataError as error:
                yield _Tag(job, error=error), None

    def _jobs(self, tasks: Sequence[FileTask]) -> Iterator[_Job]:
        """Yield the files that are not finished."""
        for task in tasks:
            job = None
            with self._reported(task):
                job = self._open(task)
                self._finished += job is None
            if job is not None:
                yield job

    def _record(self, task: FileTask) -> FileRecord:
        origin = self._origin
        if document_kind(task.source) is not None:
            options = vars(self._options.document).items()
            origin = {**origin, **{f"--{name.replace('_', '-')}": value for name, value in options}}
        return FileRecord(self._options.folder, task.name, origin)

    def _open(self, task: FileTask) -> _Job | None:
        """Begin or continue a file. None if it is finished."""
        facts = inspect_file(task.source)
        record = self._record(task)
        if self._options.overwrite:
            record.remove()
        if record.state(facts) == "finished":
            return None
        record.output.parent.mkdir(parents=True, exist_ok=True)
        record.begin(facts)
        if document_kind(task.source) is not None:
            document = read_document(task.source, self._options.document, self._model_languages())
            return _DocumentJob(task, record, facts, document, self._options.document)
        output = OutputRecord(record.output, self._origin)
        start = output.last_point() or ResumePoint()
        if start.lines:
            logger.info("%s: resuming after line %s", record.output, f"{start.lines:,}")
        block = ALL_LINES if task.shard is None else task.shard.block(facts.lines)
        return _TextJob(task, record, facts, output, start, block, self._maker, self._options.strict)

    def _model_languages(self) -> Languages:
        if self._languages is None:
            data = load_models(self._maker.models)[0].config.data
            self._languages = Languages(data.source_language, data.target_language)
        return self._languages


def _texts(results: Iterable[tuple[_Tag, list[str]]]) -> Iterator[str]:
    for tag, texts in results:
        if tag.error is not None:
            raise tag.error
        yield from texts[tag.skip :]

"""The filter stage: one pass over the training corpora that keeps what the later stages need on disk.

Each training file is opened once. Processes filter the shards by text, hash each pair to find duplicates, and count how
much of the validation and test sets is in the training text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import DataConfig
from nmt.data.corpus import MalformedLine, paths
from nmt.data.languages import find_language
from nmt.data.preprocess.duplicates import RepeatFinder, hash_pairs, ranges, read_repeated, write_hashes
from nmt.data.preprocess.filters import MAX_EXAMPLES, FilterCounts, FilteredPairs, PairFilter, make_filter
from nmt.data.preprocess.overlap import HeldOutSet, Overlap, OverlapCounter, comparable_pair
from nmt.data.preprocess.plain_lines import accepts_plain, inspect_lines
from nmt.data.preprocess.shards import BLOCK_CHARACTERS, BLOCK_PAIRS, RawShard, Record, blocks, cut
from nmt.data.preprocess.work_folder import FACTS, finished_facts, make_part, read_facts, write_facts
from nmt.data.store import SIDES, ArrayWriter, TextReader, TextWriter, map_array
from nmt.errors import DataError
from nmt.log import Progress, logger
from nmt.processes import map_in_order

WHAT = "preprocessing"
SHARD = "filtered-{:06d}"
FILTERED, KEPT, DUPLICATES = "filtered.json", "kept", "duplicates.json"
"""The files of the finished steps: all shards are filtered, which pairs are kept, the counts of duplicates."""


@dataclass(frozen=True)
class FilteredCorpus:
    """The outcome for one corpus. The pairs that passed the text filters are numbered from `start` to `end`.

    Attributes:
        files: Its files.
        read: Number of pairs read.
        start: Number of its first pair that passed.
        end: Number after its last pair that passed.
        filtered: The pairs that were left out, duplicates included, by reason.
    """

    files: tuple[str, ...]
    read: int
    start: int
    end: int
    filtered: tuple[FilteredPairs, ...]


class FilteredShard(NamedTuple):
    """The pairs of a shard that passed the text filters, in a folder.

    Attributes:
        number: Number of the shard among all shards.
        folder: The folder with their text.
        corpus: Number of the corpus.
        first: Number of its first record in the corpus, from 1.
        read: Number of records.
        start: Number of its first pair that passed, among those of all corpora.
        pairs: Number of pairs that passed.
        sizes: Bytes of the source lines and of the target lines that passed.
    """

    number: int
    folder: Path
    corpus: int
    first: int
    read: int
    start: int
    pairs: int
    sizes: tuple[int, int]

    @property
    def end(self) -> int:
        """Number after its last pair that passed."""
        return self.start + self.pairs

    def texts(self) -> tuple[TextReader, TextReader]:
        """Open the source lines and the target lines."""
        return TextReader(self.folder, SIDES[0]), TextReader(self.folder, SIDES[1])

    def lines(self) -> NDArray[np.int64]:
        """Return the number of each pair's line in its corpus, from 1."""
        return map_array(self.folder / "lines", np.int64)

    def delete_text(self) -> None:
        """Delete all but the facts."""
        for path in self.folder.iterdir():
            if path.name != FACTS:
                path.unlink()


@dataclass(frozen=True)
class FilterResult:
    """The training pairs that passed the text filters, in files of a work folder.

    Attributes:
        corpora: The outcome for each corpus.
        overlap: The overlap of the training text with each held-out set.
        shards: The text, in the order of the corpora.
        kept: False for duplicates of an earlier pair, if duplicates are left out.
    """

    corpora: tuple[FilteredCorpus, ...]
    overlap: tuple[Overlap, ...]
    shards: tuple[FilteredShard, ...]
    kept: NDArray[np.bool_]

    def count_kept(self, corpus: FilteredCorpus | None = None) -> int:
        """Return the number of pairs that are kept, of all corpora or of one."""
        return int(np.count_nonzero(self.kept if corpus is None else self.kept[corpus.start : corpus.end]))

    def lines(self, side: int) -> Iterator[str]:
        """Yield the lines of the kept pairs on one side: 0 for the source, 1 for the target."""
        for shard in self.shards:
            texts = shard.texts()
            for numbers in number_blocks(texts, self.kept[shard.start : shard.end]):
                yield from texts[side].lines(numbers)

    def sample_lines(self, sides: Sequence[str], *, max_lines: int, max_bytes: int) -> Iterator[str]:
        """Yield lines of kept pairs that are spread evenly over all corpora.

        Args:
            sides: `source`, `target` or both. The lines of both sides of a pair follow each other.
            max_lines: Most lines in all.
            max_bytes: Limits the sample to the share of pairs for which all text of the sides would have this size.
        """
        places = [SIDES.index(side) for side in sides]
        total = self.count_kept()
        size = sum(shard.sizes[place] for shard in self.shards for place in places)
        share = min(1.0, max_bytes / max(1, size))
        max_pairs = max(1, min(max_lines // len(sides), int(total * share)))
        rank = 0
        for shard in self.shards:
            texts = shard.texts()
            for numbers in number_blocks(texts, self.kept[shard.start : shard.end]):
                if total > max_pairs:
                    ranks = np.arange(rank, rank + len(numbers))
                    rank += len(numbers)
                    numbers = numbers[(ranks + 1) * max_pairs // total > ranks * max_pairs // total]
                for lines in zip(*(texts[place].lines(numbers) for place in places), strict=True):
                    yield from lines


def number_blocks(texts: tuple[TextReader, TextReader], chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the chosen pairs of a shard, in blocks of bounded size."""
    for first in range(0, len(chosen), BLOCK_PAIRS):
        numbers: NDArray[np.int64] = np.flatnonzero(chosen[first : first + BLOCK_PAIRS]) + first
        sizes = np.cumsum(texts[0].sizes(numbers) + texts[1].sizes(numbers)) // BLOCK_CHARACTERS
        yield from (block for block in np.split(numbers, np.flatnonzero(np.diff(sizes)) + 1) if len(block))


def filter_corpora(
    data: DataConfig, folder: Path, held_out: Sequence[HeldOutSet] = (), *, bar: Progress, processes: int = 1
) -> FilterResult:
    """Read and filter all training corpora. Shards and steps that the work folder has are not made again.

    Args:
        data: The data section of the configuration.
        folder: A work folder, empty or with the results of an interrupted call with the same text and options.
        held_out: Sets to look for in the training text, or to remove from it (`data.filters.drop_held_out`).
        bar: Counts the pairs that were read.
        processes: Number of processes. It affects only speed.

    Raises:
        DataError: A corpus cannot be read, or no pair is kept.
        ProcessLostError: A process was killed, or memory ran out.
    """
    if finished_facts(folder / FILTERED) is None:
        _filter_shards(data, folder, held_out, bar=bar, processes=processes)
    counters = [OverlapCounter(held) for held in held_out]
    corpora, shards = _collect(data, folder, counters)
    kept = _find_kept(folder, shards, processes=processes) if data.filters.drop_duplicates else _all(shards)
    if data.filters.drop_duplicates:
        corpora = _with_duplicates(folder, corpora, shards, kept)
    result = FilterResult(tuple(corpora), tuple(counter.facts() for counter in counters), tuple(shards), kept)
    if not result.count_kept():
        raise DataError(f"No training pair is left: {describe_filtered(corpora)}")
    return result


def count_overlap(held_out: Sequence[HeldOutSet], data: DataConfig, *, processes: int = 1) -> list[Overlap]:
    """Read the training corpora and count their overlap with held-out sets.

    The only filter is `data.filters.drop_held_out`.
    """
    counters = [OverlapCounter(held) for held in held_out]
    make = partial(_ShardOverlap, held_out, data.filters.drop_held_out)
    for counts in map_in_order(make, cut(data.train), processes=processes, what=WHAT):
        for counter, found in zip(counters, counts, strict=True):
            counter.merge(found)
    return [counter.facts() for counter in counters]


def describe_filtered(corpora: Iterable[FilteredCorpus]) -> str:
    """Describe which pairs were left out, with an example of each reason."""
    reasons = [
        f"{' + '.join(corpus.files)}: {count:,} left out ({reason}), such as line {examples[0].line}: "
        f"{examples[0].source} | {examples[0].target}"
        for corpus in corpora
        for reason, count, examples in corpus.filtered
    ]
    return "\n".join(reasons) or "the files are empty."


class _ShardOverlap:
    """Counts the overlap of a shard with held-out sets."""

    def __init__(self, held_out: Sequence[HeldOutSet], dropped: bool) -> None:
        self._counters = [OverlapCounter(held) for held in held_out]
        self._dropped = dropped

    def __call__(self, shard: RawShard) -> list[dict[str, Any]]:
        for block in shard.blocks():
            forms = _look(block).forms
            if self._dropped:
                held_out = {place for counter in self._counters for place in counter.find(forms)}
                forms = [form for place, form in enumerate(forms) if place not in held_out]
            for counter in self._counters:
                counter.add(forms)
        return [counter.take() for counter in self._counters]


def _filter_shards(
    data: DataConfig, folder: Path, held_out: Sequence[HeldOutSet], *, bar: Progress, processes: int
) -> None:
    """Filter the shards that are not in the folder yet."""
    shards = cut(data.train)
    first = next(shards, None)
    if first is None:
        write_facts(folder / FILTERED, {"shards": 0})
        return
    pair_filter = _make_filter(data, first)
    count = 0

    def missing() -> Iterator[RawShard]:
        nonlocal count
        for shard in chain((first,), shards):
            count += 1
            if finished_facts(folder / SHARD.format(shard.number)) is None:
                yield shard
            else:
                bar.update(shard.records)

    make = partial(_ShardFilter, folder, pair_filter, held_out, data.filters.drop_held_out)
    for records in map_in_order(make, missing(), processes=processes, what=WHAT):
        bar.update(records)
    write_facts(folder / FILTERED, {"shards": count})


def _make_filter(data: DataConfig, shard: RawShard) -> PairFilter:
    """Make the filter from the first block of the text, whose script may be needed."""
    pairs = [pair for pair in next(blocks(chain.from_iterable(shard.blocks()))) if not isinstance(pair, MalformedLine)]
    made = make_filter(
        max_words=data.filters.max_words,
        max_ratio=data.filters.max_length_ratio,
        identical=data.filters.drop_identical,
        source_language=data.source_language,
        target_language=data.target_language,
        source_lines=[source for source, _ in pairs],
        target_lines=[target for _, target in pairs],
    )
    _log_unit("source", data.source_language, by_character=made.source_by_character)
    _log_unit("target", data.target_language, by_character=made.target_by_character)
    return made


class _Looked(NamedTuple):
    """A block of records.

    Attributes:
        pairs: The text of each record; empty for a record that is not a pair.
        forms: Each pair in the form of `comparable`.
        good: Whether each record is known to pass the filter, unless its sides are identical; bool [N].
    """

    pairs: list[tuple[str, str]]
    forms: list[tuple[str, str]]
    good: NDArray[np.bool_]


def _look(block: Sequence[Record], pair_filter: PairFilter | None = None) -> _Looked:
    """Look at a block of records at once: plain lines need no closer look."""
    pairs = [("", "") if isinstance(record, MalformedLine) else record for record in block]
    sources = inspect_lines([pair[0] for pair in pairs])
    targets = inspect_lines([pair[1] for pair in pairs])
    plain = sources.plain & targets.plain
    forms = pairs.copy()
    for place in np.flatnonzero(~plain).tolist():
        forms[place] = comparable_pair(pairs[place])
    if pair_filter is not None:
        plain = accepts_plain(pair_filter, sources, targets)
    return _Looked(pairs, forms, plain)


class _ShardFilter:
    """Filters shards and stores the pairs that pass."""

    def __init__(
        self, folder: Path, pair_filter: PairFilter, held_out: Sequence[HeldOutSet], drop_held_out: bool
    ) -> None:
        self._folder = folder
        self._filter = pair_filter
        self._overlap = [OverlapCounter(held) for held in held_out]
        self._dropped = self._overlap if drop_held_out else []

    def __call__(self, shard: RawShard) -> int:
        counts = FilterCounts()
        with make_part(self._folder / SHARD.format(shard.number)) as folder:
            writer = _Writer(folder)
            line = shard.first
            for block in shard.blocks():
                self._filter_block(block, line, writer, counts)
                line += len(block)
            facts = {
                "corpus": shard.corpus,
                "first": shard.first,
                "read": shard.records,
                "pairs": writer.pairs,
                "sizes": writer.close(),
                "filtered": counts.facts(),
                "overlap": [counter.take() for counter in self._overlap],
            }
            write_facts(folder, facts)
        return shard.records

    def _filter_block(self, block: Sequence[Record], first: int, writer: _Writer, counts: FilterCounts) -> None:
        pairs, forms, good = _look(block, self._filter)
        held_out = {place for held in self._dropped for place in held.find(forms)}
        doubtful = np.flatnonzero(~good).tolist()
        if self._filter.identical:
            doubtful += [place for place, form in enumerate(forms) if form[0] == form[1] and good[place]]
        kept = np.ones(len(block), dtype=np.bool_)
        for place in sorted(held_out.union(doubtful)):
            record = block[place]
            if isinstance(record, MalformedLine):
                counts.add("wrong number of columns", first + place, record.line, "")
                kept[place] = False
                continue
            reason = self._filter.reject(*record, forms[place]) or ("held out" if place in held_out else None)
            if reason is not None:
                counts.add(reason, first + place, *record)
                kept[place] = False
        for counter in self._overlap:
            counter.add([form for place, form in enumerate(forms) if place not in held_out] if held_out else forms)
        places = np.flatnonzero(kept).tolist()
        if len(places) < len(block):
            pairs, forms = ([each[place] for place in places] for each in (pairs, forms))
        writer.add(pairs, forms, np.flatnonzero(kept) + first)


class _Writer:
    """Writes the pairs of a shard that pass."""

    def __init__(self, folder: Path) -> None:
        self.pairs = 0
        self._folder = folder
        self._texts = [TextWriter(folder, side) for side in SIDES]
        self._lines = ArrayWriter(folder / "lines", np.int64)
        self._hashes: list[bytes] = []

    def add(self, pairs: Sequence[tuple[str, str]], forms: Sequence[tuple[str, str]], lines: NDArray[np.int64]) -> None:
        for side, texts in enumerate(self._texts):
            texts.add([pair[side] for pair in pairs])
        self._lines.add(lines)
        self._hashes.append(hash_pairs(forms))
        self.pairs += len(pairs)

    def close(self) -> list[int]:
        """Complete all files, and return the sizes of both sides in bytes."""
        self._lines.close()
        write_hashes(self._folder, b"".join(self._hashes))
        return [texts.close() for texts in self._texts]


def _collect(
    data: DataConfig, folder: Path, counters: Sequence[OverlapCounter]
) -> tuple[list[FilteredCorpus], list[FilteredShard]]:
    """Put the facts of all shards together."""
    counts = [FilterCounts() for _ in data.train]
    read = [0] * len(data.train)
    passed = [0] * len(data.train)
    shards: list[FilteredShard] = []
    for number in range(read_facts(folder / FILTERED)["shards"]):
        place = folder / SHARD.format(number)
        facts = read_facts(place)
        corpus, start = facts["corpus"], shards[-1].end if shards else 0
        sizes = (facts["sizes"][0], facts["sizes"][1])
        shards.append(FilteredShard(number, place, corpus, facts["first"], facts["read"], start, facts["pairs"], sizes))
        counts[corpus].merge(map(FilteredPairs.load, facts["filtered"]))
        read[corpus] += facts["read"]
        passed[corpus] += facts["pairs"]
        for counter, found in zip(counters, facts["overlap"], strict=True):
            counter.merge(found)
    ends = np.cumsum(passed).tolist()
    corpora = [
        FilteredCorpus(paths(corpus), read[place], ends[place] - passed[place], ends[place], counts[place].facts())
        for place, corpus in enumerate(data.train)
    ]
    return corpora, shards


def _all(shards: Sequence[FilteredShard]) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = np.broadcast_to(np.True_, (sum(shard.pairs for shard in shards),))
    return kept


def _find_kept(folder: Path, shards: Sequence[FilteredShard], *, processes: int) -> NDArray[np.bool_]:
    """Return for each pair whether no equal pair comes before it, from a file that is made if it is missing."""
    path = folder / KEPT
    pairs = sum(shard.pairs for shard in shards)
    if path.exists() and path.stat().st_size == pairs:
        return map_array(path, np.bool_)
    part = path.with_suffix(".part")
    with open(part, "wb") as stream:
        for shard in shards:
            own: NDArray[np.bool_] = np.ones(shard.pairs, dtype=np.bool_)
            own[read_repeated(shard.folder)] = False
            stream.write(own.tobytes())
    if len(shards) > 1 and pairs:
        kept = np.memmap(part, np.bool_, mode="r+")
        finder = RepeatFinder([shard.folder for shard in shards], [shard.start for shard in shards])
        parts = list(ranges(pairs))
        processes = min(processes, len(parts))
        for repeated in map_in_order(partial(_same, finder), parts, processes=processes, what=WHAT):
            kept[repeated] = False
        kept.flush()
        del kept
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    os.replace(part, path)
    return map_array(path, np.bool_)


def _same(finder: RepeatFinder) -> Callable[[tuple[int, int]], NDArray[np.int64]]:
    return finder


def _with_duplicates(
    folder: Path, corpora: Sequence[FilteredCorpus], shards: Sequence[FilteredShard], kept: NDArray[np.bool_]
) -> list[FilteredCorpus]:
    """Count the duplicates of each corpus among its filtered pairs."""
    path = folder / DUPLICATES
    facts = finished_facts(path)
    if facts is None:
        counts = [FilterCounts() for _ in corpora]
        for shard in shards:
            repeated = np.flatnonzero(~kept[shard.start : shard.end])
            counts[shard.corpus].merge(_duplicates(shard, repeated))
        facts = {"duplicates": [each.facts() for each in counts]}
        write_facts(path, facts)
        facts = read_facts(path)
    together = []
    for corpus, filtered in zip(corpora, facts["duplicates"], strict=True):
        all_counts = FilterCounts(start=corpus.filtered)
        all_counts.merge(map(FilteredPairs.load, filtered))
        together.append(replace(corpus, filtered=all_counts.facts()))
    return together


def _duplicates(shard: FilteredShard, repeated: NDArray[np.int64]) -> Iterable[FilteredPairs]:
    """Return the count and the first examples of the duplicates of a shard."""
    if not len(repeated):
        return ()
    counts = FilterCounts()
    texts, lines = shard.texts(), shard.lines()
    for number in repeated[:MAX_EXAMPLES].tolist():
        place = np.array([number])
        counts.add("duplicate", int(lines[number]), *(side.lines(place)[0] for side in texts))
    (found,) = counts.facts()
    return (found._replace(pairs=len(repeated)),)


def _log_unit(side: str, code: str, *, by_character: bool) -> None:
    """Log a code that was corrected, and a unit of lengths that the code alone does not determine."""
    found = find_language(code)
    if found.mistake:
        logger.warning(
            "data.%s_language: %s is not the code of a language. It is read as %s (%s).",
            *(side, code, found.code, found.name),
        )
    unit = "characters" if by_character else "words"
    if not found.alpha3:
        logger.info(
            "data.%s_language: %s is not in the table of languages. Lengths are counted in %s, by the script of the "
            "text.",
            *(side, code, unit),
        )
    elif by_character != found.by_character:
        logger.warning(
            "data.%s_language: lengths are counted in %s, by the script and the spaces of the text. Usual text in %s "
            "(%s) has lengths in %s.",
            *(side, unit, found.name, code, found.unit),
        )

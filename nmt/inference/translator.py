"""Lines in, translations out: exactly one for each, in order, whatever is in them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import DecodingConfig
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tokenizer import Tokenizers
from nmt.device import choose_device, choose_dtype, choose_precision, set_threads
from nmt.errors import UsageError
from nmt.inference.aligner import Aligner
from nmt.inference.batch_search import BatchSearcher
from nmt.inference.constraints import ConstraintCompiler, Request, Terminology
from nmt.inference.ensemble import (
    Average,
    Ensemble,
    EnsembleMember,
    RestrictableEnsemble,
    check_compatible,
    checked_weights,
)
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.nbest import NBestBuilder, Restored
from nmt.inference.packing import ready_to_search
from nmt.inference.placeholders import Masked, PlaceholderRestorer, TranslatedSegment, distribute, mask
from nmt.inference.results import BLANK, Hypothesis, LongLines, Translation
from nmt.inference.search_options import Constraints
from nmt.inference.segmentation import Segmenter, clean, max_segment_tokens, sentence_separator
from nmt.inference.shortlist import RestrictableModel, RestrictableNetwork, Shortlist
from nmt.inference.streaming import window_size, windows
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.search import LengthNormalization, StepModel, TokenHypothesis, make_length_normalization

__all__ = ["Hypothesis", "Translation", "Translator"]


class Translator:
    """Translates lines with a model. May be used from several threads at once.

    The text of a translation depends on its line and the options alone: not on the lines around it, their number or
    order, or `batch_sentences`.
    """

    def __init__(
        self,
        model: StepModel[Any, Any],
        tokenizers: Tokenizers,
        *,
        decoding: DecodingConfig,
        device: torch.device,
        max_source_pieces: int | None = None,
        separator: str = " ",
        shortlist: Shortlist | None = None,
        aligner: Aligner | None = None,
        symbols: Sequence[str] = (),
    ) -> None:
        """Keeps what it is given.

        Args:
            model: A network on `device` in evaluation mode, or anything that can be searched like one.
            tokenizers: The subword models of its two sides.
            decoding: How to search.
            device: Where.
            max_source_pieces: Longer lines are translated in parts. None: none are.
            separator: What stands between the translations of such parts.
            shortlist: The pieces that translations may use; takes the place of `model`. None: all.
            aligner: Tells what translations look at. None: nothing does, and alignments cannot be had.
            symbols: What may stand for something protected; one piece each, on both sides.
        """
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.aligner = aligner
        self.normalization: LengthNormalization = make_length_normalization(
            decoding.length_normalization, decoding.alpha
        )
        self._cutter = Segmenter(tokenizers.source, longest=max_source_pieces, sentences=decoding.split_sentences)
        self._restorer = PlaceholderRestorer(tokenizers, aligner, spaces=separator != "")
        self._symbols = symbols
        self._writer = NBestBuilder(tokenizers.target, decoding=decoding, separator=separator)
        self._wishes = ConstraintCompiler(tokenizers.target)
        self._searcher = BatchSearcher(
            model,
            decoding=decoding,
            normalization=self.normalization,
            device=device,
            # On a processor the precision is that of the packed products.
            dtype=choose_dtype(decoding.precision, device) if device.type == "cuda" else torch.float32,
            shortlist=shortlist,
            phrases=self._wishes.phrases,
        )

    @classmethod
    def load(cls, path: Path | str | None, *, decoding: Mapping[str, Any] | None = None) -> Translator:
        """Load a translator.

        Args:
            path: A model file or the folder of a run; None: see `find_model`.
            decoding: Options of the configuration's decoding section in place of the model's own: beam_size, n_best,
                length_normalization, alpha, max_length_ratio, batch_sentences, precision, device, threads and so on.

        Raises:
            UsageError: There is no such model, or the options cannot be used.
            CheckpointError: The file is no model file, or it is damaged.
        """
        file = load_model(find_model(None if path is None else Path(path)))
        return cls.from_model_file(file, decoding=decoding or {})

    @classmethod
    def from_model_file(cls, file: ModelFile, *, decoding: Mapping[str, Any], alignments: bool = False) -> Translator:
        """Make a translator of one model file; see `from_members`."""
        return cls.from_members([EnsembleMember("the model", file)], decoding=decoding, alignments=alignments)

    @classmethod
    def from_members(
        cls,
        members: Sequence[EnsembleMember],
        *,
        weights: Sequence[float] | None = None,
        decoding: Mapping[str, Any],
        alignments: bool = False,
    ) -> Translator:
        """Make a translator of model files that have been read; several translate together, see `Ensemble`.

        Args:
            members: At least one, the same one twice if need be.
            weights: How much each counts, above zero; None: all the same.
            decoding: Options in place of those of the first member; see `load`.
            alignments: Keep what it takes to align translations, which is the networks once more.

        Raises:
            UsageError: The members cannot translate together, the weights are not theirs, or options cannot be used.
            CheckpointError: The weights of a network do not fit its configuration.
        """
        ready = get_ready(members, weights=weights, decoding=decoding, alignments=alignments)
        return cls(**ready._asdict())

    def with_phrases(self, *, avoid: Sequence[str] = (), terminology: Terminology | None = None) -> Translator:
        """Return a translator that steers its translations; this one stays as it is.

        Args:
            avoid: Words or phrases that no translation may have.
            terminology: What translations must have where their source has a term.

        Raises:
            UsageError: A phrase is blank.
        """
        clone = copy.copy(self)
        clone._wishes = ConstraintCompiler(self.tokenizers.target, avoid=avoid, terminology=terminology)
        clone._searcher = self._searcher.with_phrases(clone._wishes.phrases)
        return clone

    def translate(
        self, lines: Iterable[str | Request], *, before: int = 0, long_lines: LongLines | None = None
    ) -> Iterator[Translation]:
        """Translate lines: one translation for each, in order.

        Lines are taken in windows, sorted by length inside. Where the next line has not come yet, those that are
        there are translated at once. Lists and tuples are taken as they are; anything else is read in a thread.

        Args:
            lines: Any strings, or requests, which say more about a line. A single string is one line.
            before: How many lines came before them; for messages, which name lines by their numbers.
            long_lines: Tells about lines that are translated in parts, and goes on with it in another call. None: all
                is told in this one.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        noted = LongLines() if long_lines is None else long_lines
        for window in self.windows(lines):
            yield from self._window(window, before, noted)
            before += len(window)
        if long_lines is None:
            noted.summarize()

    def windows(self, lines: Iterable[str | Request]) -> Iterator[list[str | Request]]:
        """Cut lines into windows that are best translated together; see `translate`."""
        size = window_size(self.decoding.batch_sentences)
        return windows([lines] if isinstance(lines, str) else lines, size)

    def _window(self, lines: Sequence[str | Request], before: int, long_lines: LongLines) -> list[Translation]:
        """Translate a window of lines, which `before` lines have preceded."""
        requests = [_cleaned(line) for line in lines]
        parts = self._parts([request for request in dict.fromkeys(requests) if request.text])
        for number, request in enumerate(requests, before + 1):
            if request.text and parts[request].over_long:
                pieces = sum(len(part.ids) for part in parts[request].parts)
                long_lines.report(number, pieces=pieces, parts=len(parts[request].parts))
        jobs = list(dict.fromkeys(part.job for line in parts.values() for part in line.parts))
        searched = self._searcher.search([ids for ids, _ in jobs], [wish for _, wish in jobs])
        found = dict(zip(jobs, searched, strict=True))
        restored = self._restored([part for line in parts.values() for part in line.parts if part.spans], found)
        done = {
            request: self._translation(line, found, restored) if line.parts else _untranslated(line.kept)
            for request, line in parts.items()
        }
        return [done.get(request, BLANK) for request in requests]

    def _parts(self, requests: Sequence[Request]) -> dict[Request, _Line]:
        """Return each line in the parts that are translated, without what is protected."""
        texts = [request.text for request in requests]
        masked = [mask(text, self._symbols) if self.decoding.protect else Masked(text, []) for text in texts]
        encoded = self.tokenizers.source.encode([each.text for each in masked])
        lines = {}
        for request, each, ids in zip(requests, masked, encoded, strict=True):
            cut = self._cutter.cut(each.text, ids)
            spans = distribute(each.spans, cut.texts) if cut.texts else []
            wishes = self._wishes.of(request, cut.texts)
            columns = zip(cut.texts, cut.ids, spans, wishes, strict=True)
            parts = [TranslatedSegment(text, tuple(row), own, wish) for text, row, own, wish in columns]
            lines[request] = _Line(parts, cut.over_long, kept=request.text.strip() if each.spans else "")
        return lines

    def _restored(self, parts: Sequence[TranslatedSegment], found: Mapping[Job, Sequence[TokenHypothesis]]) -> Restored:
        """Return the texts of the translations of parts from which something was taken out."""
        jobs = [(part, hypothesis.ids) for part in dict.fromkeys(parts) for hypothesis in found[part.job]]
        texts = self._restorer.texts(jobs) if jobs else []
        return {(part, tuple(ids)): text for (part, ids), text in zip(jobs, texts, strict=True)}

    def _translation(
        self, line: _Line, found: Mapping[Job, Sequence[TokenHypothesis]], restored: Restored
    ) -> Translation:
        candidates = self._writer.write([(part, found[part.job]) for part in line.parts], restored)
        return Translation(candidates[0].text, candidates, [list(part.ids) for part in line.parts])


Job = tuple[tuple[int, ...], Constraints]
"""Source pieces, and what is wanted of their translation."""


def _cleaned(line: str | Request) -> Request:
    return Request(clean(line)) if isinstance(line, str) else replace(line, text=clean(line.text))


class _Line(NamedTuple):
    """A line, ready to be translated."""

    parts: list[TranslatedSegment]
    over_long: bool
    kept: str
    """What the translation is if nothing is left to be translated."""


def _untranslated(text: str) -> Translation:
    """Return the translation of a line that the model has nothing to do with."""
    return Translation(text, [Hypothesis(text, [], [], 0.0, 0.0, [], True)]) if text else BLANK


class Ingredients(NamedTuple):
    """What `Translator` keeps; it says what each is."""

    model: StepModel[Any, Any]
    tokenizers: Tokenizers
    decoding: DecodingConfig
    device: torch.device
    max_source_pieces: int | None
    separator: str
    shortlist: Shortlist | None
    aligner: Aligner | None
    symbols: Sequence[str]


def get_ready(
    members: Sequence[EnsembleMember], *, weights: Sequence[float] | None, decoding: Mapping[str, Any], alignments: bool
) -> Ingredients:
    """Make networks and all else; see `Translator.from_members`."""
    check_compatible(members)
    counts = checked_weights(weights, members)
    first = members[0].file
    options = override_decoding(first.config.decoding, decoding)
    table = _table(members) if options.shortlist else None
    if options.threads is not None:
        set_threads(options.threads)
    device = choose_device(options.device)
    networks = [member.file.network(device) for member in members]
    model, limitable = _searched(networks, counts, options, device)
    return Ingredients(
        model=model,
        tokenizers=first.tokenizers,
        decoding=options,
        device=device,
        max_source_pieces=max_segment_tokens([member.file.config for member in members], decoding),
        separator=sentence_separator(first.config.data.target_language, first.tokenizers.target),
        shortlist=None
        if table is None
        else Shortlist(limitable, table, target_size=first.tokenizers.target.size, device=device),
        aligner=_aligner(members, networks, counts, options, device) if alignments or options.protect else None,
        symbols=first.config.tokenizer.user_symbols,
    )


def _searched(
    networks: Sequence[Seq2Seq], counts: Sequence[float], options: DecodingConfig, device: torch.device
) -> tuple[StepModel[Any, Any], RestrictableModel]:
    """Return what is searched, whole and in a form that a shortlist can cut down."""
    precision = choose_precision(options.precision, device)
    ready = [ready_to_search(network, options.precision, device) for network in networks]
    pairs = zip(ready, networks, strict=True)
    limitable = [RestrictableNetwork(packed, network.output, precision=precision) for packed, network in pairs]
    if len(networks) == 1:
        return ready[0], limitable[0]
    average: Average = options.ensemble_average
    return (
        Ensemble(ready, weights=counts, average=average),
        RestrictableEnsemble(limitable, weights=counts, average=average),
    )


def _table(members: Sequence[EnsembleMember]) -> ShortlistTable:
    """Return the shortlist table of the first model that has one: the vocabularies are the same.

    Raises:
        UsageError: There is none.
    """
    for name, file in members:
        if file.shortlist is not None:
            if len(members) > 1:
                logger.info("all models look at the shortlist of %s", name)
            return file.shortlist
    missing = "the model file has no table" if len(members) == 1 else "none of the model files has a table"
    raise UsageError(
        f"--shortlist: {missing} for it. `nmt shortlist MODEL` adds one, in the folder where the model was trained; "
        "--no-shortlist looks at the whole vocabulary."
    )


def _aligner(
    members: Sequence[EnsembleMember],
    networks: Sequence[Seq2Seq],
    counts: Sequence[float],
    options: DecodingConfig,
    device: torch.device,
) -> Aligner | None:
    """Return what tells where the models look on average, but for those without attention; None if all are such."""
    looking = [
        (network, count)
        for (_, file), network, count in zip(members, networks, counts, strict=True)
        if file.config.model.attention.score != "none"
    ]
    if not looking:
        return None
    return Aligner(
        [network for network, _ in looking],
        members[0].file.tokenizers,
        device=device,
        dtype=choose_dtype(options.precision, device) if device.type == "cuda" else torch.float32,
        batch_sentences=options.batch_sentences,
        weights=[count for _, count in looking],
    )

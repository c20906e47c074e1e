"""Lines in, translations out: exactly one for each, in order, whatever is in them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.data.terminology import Terminology
from nmt.data.tokenizer import Tokenizers
from nmt.device import choose_device, choose_dtype, choose_precision, set_threads
from nmt.errors import UsageError
from nmt.inference.aligner import Aligner
from nmt.inference.batches import Searcher
from nmt.inference.composition import Wish
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.packing import PackedNetwork, ready_to_search
from nmt.inference.parts import Cutter
from nmt.inference.protection import Masked, mask
from nmt.inference.requests import Request, Wishes
from nmt.inference.restoring import Part, Restorer, share_out
from nmt.inference.shortlist import Shortlist
from nmt.inference.text import clean, one_line, part_separator
from nmt.inference.translation import BLANK, Candidate, LongLines, Translation
from nmt.inference.windows import WindowSize, windows
from nmt.model import Seq2Seq
from nmt.model.output import OutputLayer
from nmt.search import Hypothesis, Normalization, StepModel, make_normalization

__all__ = ["Candidate", "Translation", "Translator"]

# A window holds this many full batches: sorted by length, little of them is padding.
WINDOW_BATCHES = 16
WINDOW_CHARACTERS = 1_000_000


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
        decoding: Decoding,
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
        self.normalization: Normalization = make_normalization(decoding.length_normalization, decoding.alpha)
        self._cutter = Cutter(tokenizers.source, longest=max_source_pieces, sentences=decoding.split_sentences)
        self._restorer = Restorer(tokenizers, aligner, spaces=separator != "")
        self._symbols = symbols
        self._separator = separator
        self._obstacle = _obstacle(tokenizers, shortlist)
        self._wishes = Wishes(tokenizers.target, obstacle=self._obstacle)
        self._searcher = Searcher(
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
        """Make a translator of a model file that has been read; see `load`.

        Args:
            file: The model.
            decoding: Options in place of the model's own.
            alignments: Keep what it takes to align translations, which is the network once more.

        Raises:
            UsageError: The options cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        options = change_decoding(file.config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        device = choose_device(options.device)
        network = file.network(device)
        precision = choose_precision(options.precision, device)
        model = ready_to_search(network, options.precision, device)
        has_attention = file.config.model.attention.score != "none"
        aligner = Aligner(
            network,
            file.tokenizers,
            device=device,
            dtype=choose_dtype(options.precision, device) if device.type == "cuda" else torch.float32,
            batch_sentences=options.batch_sentences,
        )
        return cls(
            model,
            file.tokenizers,
            decoding=options,
            device=device,
            max_source_pieces=file.config.data.filters.max_pieces,
            separator=part_separator(file.config.data.target_language),
            shortlist=_shortlist(file, model, network.output, precision) if options.shortlist else None,
            aligner=aligner if has_attention and (alignments or options.protect) else None,
            symbols=file.config.tokenizer.user_symbols,
        )

    def with_phrases(self, *, avoid: Sequence[str] = (), terminology: Terminology | None = None) -> Translator:
        """Return a translator that steers its translations; this one stays as it is.

        Args:
            avoid: Words or phrases that no translation may have.
            terminology: What translations must have where their source has a term.

        Raises:
            UsageError: A phrase is blank, or this translator cannot be steered.
        """
        clone = copy.copy(self)
        clone._wishes = Wishes(self.tokenizers.target, avoid=avoid, terminology=terminology, obstacle=self._obstacle)
        clone._searcher = self._searcher.with_phrases(clone._wishes.phrases)
        return clone

    def translate(self, lines: Iterable[str | Request], *, before: int = 0) -> Iterator[Translation]:
        """Translate lines: one translation for each, in order.

        Lines are taken in windows, sorted by length inside. Where the next line has not come yet, those that are
        there are translated at once. Lists and tuples are taken as they are; anything else is read in a thread.

        Args:
            lines: Any strings, or requests, which say more about a line. A single string is one line.
            before: How many lines came before them; for messages, which name lines by their numbers.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        long_lines = LongLines()
        for window in self.windows(lines):
            yield from self._window(window, before, long_lines)
            before += len(window)
        long_lines.summarize()

    def windows(self, lines: Iterable[str | Request]) -> Iterator[list[str | Request]]:
        """Cut lines into windows that are best translated together; see `translate`."""
        size = WindowSize(
            first_lines=self.decoding.batch_sentences,
            lines=self.decoding.batch_sentences * WINDOW_BATCHES,
            characters=WINDOW_CHARACTERS,
        )
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
            request: self._translation([(part, found[part.job]) for part in line.parts], restored)
            if line.parts
            else _untranslated(line.kept)
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
            spans = share_out(each.spans, cut.texts) if cut.texts else []
            wishes = self._wishes.of(request, cut.texts)
            columns = zip(cut.texts, cut.ids, spans, wishes, strict=True)
            parts = [Part(text, tuple(row), own, wish) for text, row, own, wish in columns]
            lines[request] = _Line(parts, cut.over_long, kept=request.text.strip() if each.spans else "")
        return lines

    def _restored(self, parts: Sequence[Part], found: Mapping[Job, Sequence[Hypothesis]]) -> _Texts:
        """Return the texts of the translations of parts from which something was taken out."""
        jobs = [(part, hypothesis.ids) for part in dict.fromkeys(parts) for hypothesis in found[part.job]]
        texts = self._restorer.texts(jobs) if jobs else []
        return {(part, tuple(ids)): text for (part, ids), text in zip(jobs, texts, strict=True)}

    def _translation(self, parts: Sequence[tuple[Part, Sequence[Hypothesis]]], restored: _Texts) -> Translation:
        """Make a translation of the hypotheses of each part of a line."""
        if len(parts) > 1:
            candidates = [self._joined([(part, hypotheses[0]) for part, hypotheses in parts], restored)]
        else:
            candidates = self._candidates(*parts[0], restored)
        return Translation(candidates[0].text, candidates, [list(part.ids) for part, _ in parts])

    def _candidates(self, part: Part, hypotheses: Sequence[Hypothesis], restored: _Texts) -> list[Candidate]:
        by_text: dict[str, Candidate] = {}
        for text, hypothesis in zip(
            self._texts([part] * len(hypotheses), hypotheses, restored), hypotheses, strict=True
        ):
            # Samples stay as they were drawn: how often a text comes says how probable it is.
            key = text if not self.decoding.sampling else f"{len(by_text)}"
            if key not in by_text:
                by_text[key] = Candidate(
                    text=text,
                    ids=hypothesis.ids,
                    pieces=self._pieces(hypothesis),
                    score=hypothesis.score,
                    log_probability=hypothesis.log_probability,
                    piece_log_probabilities=self._log_probs(hypothesis),
                    finished=hypothesis.finished,
                    parts=[hypothesis.ids],
                )
        return list(by_text.values())[: self.decoding.n_best]

    def _joined(self, best: Sequence[tuple[Part, Hypothesis]], restored: _Texts) -> Candidate:
        """Return the translation of a line from those of its parts. Its score is that of the parts in a row."""
        parts = [hypothesis for _, hypothesis in best]
        texts = self._texts([part for part, _ in best], parts, restored)
        ids = [piece for part in parts for piece in part.ids]
        log_probs = [value for part in parts for value in self._log_probs(part)]
        total = sum(part.log_probability for part in parts)
        return Candidate(
            text=self._separator.join(filter(None, texts)),
            ids=ids,
            pieces=[piece for part in parts for piece in self._pieces(part)],
            score=float(self.normalization.score(total, len(log_probs))),
            log_probability=total,
            piece_log_probabilities=log_probs,
            finished=all(part.finished for part in parts),
            parts=[part.ids for part in parts],
        )

    def _pieces(self, hypothesis: Hypothesis) -> list[str]:
        """Return the pieces of a hypothesis in the order of the text."""
        return self.tokenizers.target.turned(self.tokenizers.target.pieces(hypothesis.ids))

    def _log_probs(self, hypothesis: Hypothesis) -> list[float]:
        """Return the log-probability of each piece in the order of the text, and of EOS."""
        *pieces, eos = hypothesis.piece_log_probabilities
        return [*self.tokenizers.target.turned(pieces), eos]

    def _texts(self, parts: Sequence[Part], hypotheses: Sequence[Hypothesis], restored: _Texts) -> list[str]:
        decoded = self.tokenizers.target.decode([hypothesis.ids for hypothesis in hypotheses])
        return [
            restored.get((part, tuple(hypothesis.ids)), one_line(text))
            for part, hypothesis, text in zip(parts, hypotheses, decoded, strict=True)
        ]


Job = tuple[tuple[int, ...], Wish]
"""Source pieces, and what is wanted of their translation."""


def _cleaned(line: str | Request) -> Request:
    return Request(clean(line)) if isinstance(line, str) else replace(line, text=clean(line.text))


class _Line(NamedTuple):
    """A line, ready to be translated."""

    parts: list[Part]
    over_long: bool
    kept: str
    """What the translation is if nothing is left to be translated."""


_Texts = dict[tuple[Part, tuple[int, ...]], str]
"""The text of a part's translation, which is given as target pieces."""


def _untranslated(text: str) -> Translation:
    """Return the translation of a line that the model has nothing to do with."""
    return Translation(text, [Candidate(text, [], [], 0.0, 0.0, [], True)]) if text else BLANK


def _obstacle(tokenizers: Tokenizers, shortlist: Shortlist | None) -> str | None:
    """Return why translations cannot be steered; None: they can."""
    if shortlist is not None:
        return "with a shortlist, which may lack their pieces: add --no-shortlist"
    if tokenizers.target.right_to_left:
        return "from a model that writes from right to left"
    return None


def _shortlist(file: ModelFile, model: Seq2Seq | PackedNetwork, output: OutputLayer, precision: str) -> Shortlist:
    if file.shortlist is None:
        raise UsageError(
            "--shortlist: the model file has no table for it. `nmt shortlist MODEL` adds one, in the folder where the "
            "model was trained; --no-shortlist looks at the whole vocabulary."
        )
    return Shortlist(model, output, file.shortlist, precision=precision)

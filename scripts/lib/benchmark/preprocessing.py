"""How fast text becomes batches: filters, segmentation, both together, subword training, batching."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from benchmark.clock import interleaved, medians, seconds_of
from benchmark.corpora import corpus_config, write_corpus
from benchmark.options import Options
from benchmark.synthetic import stream
from nmt.config.schema import Config
from nmt.data.batching import Position
from nmt.data.lines import read_lines
from nmt.data.preprocess.encode_pass import encode, join_shards
from nmt.data.preprocess.filter_pass import FilterResult, filter_corpora
from nmt.data.preprocess.preprocess import preprocess
from nmt.data.store import Store
from nmt.data.tokenizer import Tokenizers
from nmt.data.tokenizer_training import TrainResult, train_tokenizers
from nmt.device import choose_device

PAIRS, QUICK_PAIRS = 20_000, 300
VOCABULARY, QUICK_VOCABULARY = 8000, 600
BATCH_TOKENS = 4096
TEXTBOOK = "textbook: filters and encoding"
BOTH = "filters and encoding, 2 threads"
WHOLE = "nmt preprocess but for subword training"
CPU = choose_device("cpu")


class Silent:
    """A progress bar that shows nothing."""

    def update(self, n: int) -> None:
        """Count `n` more."""


class Corpus:
    """A corpus, and each pass of preprocessing over it by itself, in folders that are deleted again."""

    def __init__(
        self, folder: Path, pairs: int, *, vocabulary: int, seed: int, tokenizers: Tokenizers | None = None
    ) -> None:
        write_corpus(folder, pairs, seed=seed)
        self.pairs = pairs
        self.seed = seed
        self.config: Config = corpus_config(folder, vocabulary=vocabulary, threads=torch.get_num_threads(), seed=seed)
        self._folder = folder
        self._numbers = count()
        self._kept = self._new_folder()
        self._selection: FilterResult = filter_corpora(self.config.data, self._kept, bar=Silent())
        self.tokenizers: Tokenizers = tokenizers or self._train_tokenizers().tokenizers

    def _new_folder(self) -> Path:
        folder = self._folder / f"work-{next(self._numbers)}"
        folder.mkdir()
        return folder

    def filter(self) -> float:
        """Return the seconds that reading, filtering and writing what remains takes."""
        folder = self._new_folder()
        seconds = seconds_of(lambda: filter_corpora(self.config.data, folder, bar=Silent()), CPU)
        shutil.rmtree(folder)
        return seconds

    def encode(self, threads: int) -> float:
        """Return the seconds that segmenting and writing the ids takes."""
        folder = self._new_folder()
        seconds = seconds_of(lambda: self._encode(folder, threads), CPU)
        shutil.rmtree(folder)
        return seconds

    def _encode(self, folder: Path, threads: int) -> None:
        encoded = encode(self.config, self._selection, self.tokenizers, folder, threads=threads, bar=Silent())
        join_shards(self.config, encoded, self.tokenizers, folder)

    def filter_and_encode(self) -> float:
        """Return the seconds of both passes, one after the other, with two threads for segmenting."""
        return self.filter() + self.encode(2)

    def prepare(self) -> float:
        """Return the seconds of `nmt preprocess` with given subword models: all but their training."""
        seconds = seconds_of(lambda: preprocess(self.config, force=True, tokenizers=self.tokenizers), CPU)
        shutil.rmtree(self.config.data.preprocessed_folder)
        return seconds

    def learn(self) -> float:
        """Return the seconds that training the subword model takes."""
        return seconds_of(self._train_tokenizers, CPU)

    def _train_tokenizers(self) -> TrainResult:
        return train_tokenizers(self.config.tokenizer, tags=[], sample=self._selection.sample_lines)

    def textbook(self) -> float:
        """Return the seconds of a loop over lines: filtered by length, segmented one by one, written as text."""
        return seconds_of(self._textbook, CPU)

    def _textbook(self) -> None:
        processor = sentencepiece.SentencePieceProcessor(model_proto=self.tokenizers.source.model_bytes)
        files = self.config.data.train[0]
        assert files.source is not None
        assert files.target is not None
        folder = self._new_folder()
        seen = set()
        with (
            open(files.source, encoding="utf-8") as source_text,
            open(files.target, encoding="utf-8") as target_text,
            open(folder / "source", "w", encoding="utf-8") as source_ids,
            open(folder / "target", "w", encoding="utf-8") as target_ids,
        ):
            for source, target in zip(source_text, target_text, strict=True):
                words = len(source.split()), len(target.split())
                if min(words) == 0 or max(words) > 250 or max(words) > 6 * min(words) or (source, target) in seen:
                    continue
                seen.add((source, target))
                source_ids.write(" ".join(map(str, processor.encode(source))) + "\n")
                target_ids.write(" ".join(map(str, processor.encode(target))) + "\n")
        shutil.rmtree(folder)

    def batch(self) -> float:
        """Return the seconds that an epoch of batches takes to make."""
        folder = self._new_folder()
        self._encode(folder, 2)
        store = Store(folder)
        seconds = seconds_of(lambda: epoch(store, self.tokenizers, seed=self.seed), CPU)
        shutil.rmtree(folder)
        return seconds


def epoch(store: Store, tokenizers: Tokenizers, *, seed: int) -> int:
    """Make all batches of one epoch; return how many."""
    batches = stream(store, tokenizers, batch_tokens=BATCH_TOKENS, seed=seed)
    for number, (_, following) in enumerate(batches.iterate(Position(0, 0, 0)), 1):
        if following.epoch > 0:
            return number
    raise AssertionError("the stream of batches is endless")


def measure_preprocessing(options: Options) -> list[dict[str, Any]]:
    """Return a row of figures for each pass over the text."""
    print("preprocessing: making text", file=sys.stderr)
    pairs = QUICK_PAIRS if options.quick else PAIRS
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = QUICK_VOCABULARY if options.quick else VOCABULARY
        corpus = Corpus(Path(folder), pairs, vocabulary=vocabulary, seed=options.seed)
        print("preprocessing", file=sys.stderr)
        tasks: dict[str, Callable[[], float]] = {
            TEXTBOOK: corpus.textbook,
            "filters": corpus.filter,
            "encoding, 1 thread": lambda: corpus.encode(1),
            "encoding, 2 threads": lambda: corpus.encode(2),
            BOTH: corpus.filter_and_encode,
            "subword training": corpus.learn,
            WHOLE: corpus.prepare,
            "batching": corpus.batch,
        }
        seconds = medians(interleaved(tasks, rounds=options.rounds))
        pieces = corpus.tokenizers.source.size
        characters = sum(map(len, read_lines(Path(folder) / "train.en", keep_broken=False)))
    return [
        {
            "what": name,
            "pairs": pairs,
            "pieces": pieces,
            "mean_source_characters": round(characters / pairs, 1),
            "seconds": round(taken, 4),
            "pairs_per_second": round(pairs / taken),
            "over_textbook": round(seconds[TEXTBOOK] / taken, 2) if name in (TEXTBOOK, BOTH) else None,
        }
        for name, taken in seconds.items()
    ]

"""How fast networks translate: sentences and pieces a second, greedy and with a beam, beside the textbook version.

Random weights do not end sentences as trained ones do. So EOS is made impossible and each translation is cut when it is
as long as its source, whose lengths are drawn like Multi30k's: the work of a sentence is exactly its rows times its
pieces. Segmentation and detokenisation take no part. `nmt bench` times them too, with a trained model on real text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.clock import interleaved, medians, rate_of
from benchmark.options import Options
from benchmark.shapes import Shape, configuration, network, shape_of
from benchmark.synthetic import FIRST_PIECE, draw_pairs, draw_shortlist, sentences, stand_in_tokenizers
from benchmark.textbook import TextbookModel
from benchmark.textbook_search import beam_search
from nmt.config.schema import Config
from nmt.data.special_tokens import EOS
from nmt.device import native_bf16
from nmt.inference.batch_search import BatchSearcher
from nmt.inference.constraints import SearchJob
from nmt.inference.model_file import FORMAT_VERSION, ModelFile
from nmt.inference.torch_tensors import raw_tensors
from nmt.inference.translator import Translator
from nmt.model import Seq2Seq

BEAMS = (1, 5)
SENTENCES = {64: 192, 1: 12}
"""How many are translated in one measurement, by batch size."""
QUICK_SENTENCES = {64: 8, 1: 2}
IMPOSSIBLE = -10_000.0
"""A bias of the output layer whose exponential is 0."""


class Variant(NamedTuple):
    """One way to search."""

    precision: str
    shortlist: bool

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.precision}{', shortlist' if self.shortlist else ''}"


def never_ending(config: Config, shape: Shape) -> Seq2Seq:
    """Return a network of random weights that never ends a sentence and writes no other special piece."""
    model = network(config, shape)
    with torch.no_grad():
        model.output.bias[:FIRST_PIECE] = IMPOSSIBLE
    return model


def model_file(shape: Shape, *, seed: int, bridge: str = "last", input_feeding: bool = False) -> ModelFile:
    """Return a model of random weights as it would be read from a file, whose translations are as long as sources."""
    config = configuration(shape, seed=seed, bridge=bridge, input_feeding=input_feeding)
    decoding = config.decoding.model_copy(update={"max_length_ratio": 1.0, "max_length_constant": 0})
    options = config.data.shortlist
    return ModelFile(
        path=Path("random weights"),
        config=config.model_copy(update={"decoding": decoding}),
        tokenizers=stand_in_tokenizers(shape.vocabulary),
        tensors=raw_tensors(dict(never_ending(config, shape).named_parameters())),
        provenance={},
        format_version=FORMAT_VERSION,
        shortlist=draw_shortlist(
            vocabulary=shape.vocabulary, translations=options.translations, frequent=options.frequent, seed=seed
        ),
    )


def searcher(file: ModelFile, **decoding: Any) -> BatchSearcher:
    """Return the search of the translator that `nmt translate` would make of `file`, between ids and ids."""
    return Translator.from_models([file], decoding=decoding)._searcher


def variants(device: torch.device, skipped: list[str]) -> list[Variant]:
    """Return the ways to search that can be measured; what cannot is put to `skipped`."""
    precisions = ["fp32", "bf16"]
    if device.type == "cpu" or not native_bf16(device):
        skipped.append("decoding in bf16: only on CUDA devices that compute it natively")
        precisions.remove("bf16")
    return [Variant(name, False) for name in precisions] + [Variant(name, True) for name in precisions]


def measure_decoding(options: Options, device: torch.device, skipped: list[str]) -> list[dict[str, Any]]:
    """Return a row of figures for each shape, search, batch size and variant."""
    chosen = variants(device, skipped)
    counts = QUICK_SENTENCES if options.quick else SENTENCES
    rows = []
    for name in options.shapes:
        print(f"decoding: {name}", file=sys.stderr)
        shape = shape_of(name, quick=options.quick)
        pairs = draw_pairs(max(counts.values()), vocabulary=shape.vocabulary, seed=options.seed)
        every = sentences(pairs.sources, range(max(counts.values())))
        file = model_file(shape, seed=options.seed)
        textbook = TextbookModel(shape).to(device).eval()
        with torch.no_grad():
            textbook.output.bias[EOS] = IMPOSSIBLE
        for beam in BEAMS:
            for batch, count in counts.items():
                texts = every[:count]
                work = {"textbook": partial(_textbook, textbook, beam, batch, device)}
                for variant in chosen:
                    search = searcher(
                        file,
                        beam_size=beam,
                        batch_sentences=batch,
                        device=options.device,
                        threads=torch.get_num_threads(),
                        **variant._asdict(),
                    )
                    work[variant.name] = partial(_ours, search, batch)
                tasks = {key: _task(translate, texts, options, device) for key, translate in work.items()}
                speeds = medians(interleaved(tasks, rounds=options.rounds))
                rows += _rows(name, beam, batch, sum(map(len, texts)) / count, speeds)
    return rows


def _rows(shape: str, beam: int, batch: int, mean_length: float, speeds: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "shape": shape,
            "search": "greedy" if beam == 1 else f"beam {beam}",
            "batch": batch,
            "variant": variant,
            "sentences_per_second": round(speed, 1),
            "tokens_per_second": round(speed * mean_length),
            "mean_length": round(mean_length, 1),
            "over_textbook": round(speed / speeds["textbook"], 2),
        }
        for variant, speed in speeds.items()
    ]


def _task(
    translate: Callable[[list[list[int]]], None], texts: list[list[int]], options: Options, device: torch.device
) -> Callable[[], float]:
    """Return what measures how many of `texts` are translated in a second, after a warm-up on some of them."""
    translate(texts[: -(-len(texts) // 6)])

    def all_of_them() -> float:
        translate(texts)
        return len(texts)

    return lambda: rate_of(all_of_them, device, seconds=options.seconds / 4)


def _ours(search: BatchSearcher, batch: int, texts: list[list[int]]) -> None:
    # All at once, to be sorted into batches; but with a batch of one each by itself, as somebody who waits for it.
    for part in [[text] for text in texts] if batch == 1 else [texts]:
        found = search.search([SearchJob(tuple(text)) for text in part])
        assert all(len(best[0].ids) == len(text) for best, text in zip(found, part, strict=True))


def _textbook(model: TextbookModel, beam: int, batch: int, device: torch.device, texts: list[list[int]]) -> None:
    for first in range(0, len(texts), batch):
        part = texts[first : first + batch]
        beam_search(model, part, beam_size=beam, max_lengths=[len(text) for text in part], device=device)

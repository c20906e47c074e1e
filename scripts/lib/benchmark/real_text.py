"""How fast a trained model translates real text, raw lines in and raw lines out: `--model MODEL --input FILE`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.clock import interleaved, medians, seconds_of
from benchmark.decoding import BEAMS, Variant, variants
from benchmark.options import Options
from nmt.data.lines import read_lines
from nmt.errors import DataError
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model
from nmt.inference.translator import Translation, Translator

LINES = {64: 1000, 1: 30}
"""At most this many lines are translated in one measurement, by batch size."""


class Work(NamedTuple):
    """What is measured."""

    beam: int
    batch: int
    variant: Variant


def measure_real_text(
    options: Options, device: torch.device, skipped: list[str], *, model: Path, text: Path
) -> list[dict[str, Any]]:
    """Return a row of figures for each search, batch size and variant.

    Raises:
        NMTError: The model or the text cannot be read.
    """
    lines = [line for line in read_lines(text, keep_broken=False) if line.strip()]
    if not lines:
        raise DataError(f"{text}: there is no line to translate.")
    file = load_model(find_model(model))
    chosen = [variant for variant in variants(device, skipped) if file.shortlist is not None or not variant.shortlist]
    if file.shortlist is None:
        skipped.append("decoding with a shortlist: the model file has no table for it")
    works = [Work(beam, batch, variant) for beam in BEAMS for batch in LINES for variant in chosen]
    translators = {work: _translator(file, work, options) for work in works}
    for work, translator in translators.items():
        list(translator.translate(lines[: min(work.batch, 4)]))  # warm-up
    last: dict[Work, list[Translation]] = {}

    def translate(work: Work) -> float:
        part = lines[: LINES[work.batch]]

        def task() -> None:
            # With a batch of one each line by itself, as somebody who waits for it.
            calls = [[line] for line in part] if work.batch == 1 else [part]
            last[work] = [translation for call in calls for translation in translators[work].translate(call)]

        return seconds_of(task, device)

    seconds = medians(interleaved({work: partial(translate, work) for work in works}, rounds=options.rounds))
    return [_row(work, last[work], seconds[work]) for work in works]


def _translator(file: ModelFile, work: Work, options: Options) -> Translator:
    return Translator.from_models(
        [file],
        decoding={
            "beam_size": work.beam,
            "batch_sentences": work.batch,
            "device": options.device,
            "threads": torch.get_num_threads(),
            **work.variant._asdict(),
        },
    )


def _row(work: Work, translations: list[Translation], seconds: float) -> dict[str, Any]:
    pieces = sum(len(translation.hypotheses[0].ids) for translation in translations)
    return {
        "search": "greedy" if work.beam == 1 else f"beam {work.beam}",
        "batch": work.batch,
        "variant": work.variant.name,
        "lines": len(translations),
        "sentences_per_second": round(len(translations) / seconds, 1),
        "tokens_per_second": round(pieces / seconds),
        "mean_length": round(pieces / len(translations), 1),
    }

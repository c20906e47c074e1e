"""How fast a CUDA device trains and translates, and where the host waits for it: `scripts/benchmark --parts gpu`.

B pairs, T pieces.
"""

from __future__ import annotations

import operator
import statistics
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.clock import rate_of, seconds_of
from benchmark.decoding import model_file, searcher
from benchmark.options import Options
from benchmark.peak import QUICK_SIZE, SIZE, matrix_speed
from benchmark.processes import ROOT, python
from benchmark.shapes import QUICK_SHAPES, SHAPES, VOCABULARY, Shape, useful_operations
from benchmark.synthetic import draw_pairs, sentences
from benchmark.trainees import Ours, Variant, make_data
from nmt.config import load_config
from nmt.errors import NMTError
from nmt.inference.batch_search import BatchSearcher
from nmt.inference.constraints import SearchJob

GNMT = Shape(1024, 4, 512, 4, 1024, 4 * VOCABULARY)
"""The size of Wu et al. 2016: 4 + 4 layers of 1,024 units. Every layer of the encoder reads both ways, 512 each."""
BATCH_TOKENS = 16_384
SEARCHES = {128: 1024, 1: 16}
"""Sentences that are translated in one measurement, by batch size."""
BEAM = 5
FED = ("GNMT",)
"""The shapes that are measured with input feeding too."""
CONFIG = ROOT / "configs/multi30k-en-de-gpu.yaml"
MINUTES = 5
"""Limit of the training of `CONFIG`."""


def measure_gpu(options: Options, device: torch.device, skipped: list[str]) -> list[dict[str, Any]]:
    """Return tables of figures, each with a title.

    Raises:
        NMTError: The device is not a GPU, and this is no rehearsal.
    """
    if device.type != "cuda" and not options.quick:
        raise NMTError("--parts gpu requires a CUDA device.")
    shapes = {"S": QUICK_SHAPES["S"]} if options.quick else {**SHAPES, "GNMT": GNMT}
    training, waits, search = [], [], []
    for name, shape in shapes.items():
        print(f"gpu: training and search of {name}", file=sys.stderr)
        fed = [(True, False), (True, True)] if name in FED or options.quick else []
        for input_feeding, cuda_graphs in [(False, False), *fed]:
            kind = {"shape": name, "input_feeding": input_feeding, "cuda_graphs": cuda_graphs}
            figures, places = _training(shape, options, device, input_feeding=input_feeding, cuda_graphs=cuda_graphs)
            training.append({**kind, **figures})
            waits += [{**kind, "place": place, "waits": count} for place, count in places.items()]
        for input_feeding in (False, True) if name in FED else (False,):
            search += [{"shape": name, **row} for row in _search(shape, options, input_feeding=input_feeding)]
    tables = [
        {"title": "Training in bf16, pieces a second", "rows": training},
        {"title": "Search in bf16 with a beam of 5, without CUDA graphs and with them", "rows": search},
        {"title": "Places where the host waits for the device in one update", "rows": waits},
    ]
    if options.quick:
        skipped.append(f"training of {CONFIG.name}: not in a rehearsal")
    elif not _has_text():
        skipped.append(f"training of {CONFIG.name}: the text is missing. Run scripts/fetch_data multi30k")
    else:
        tables.append({"title": f"nmt train configs/{CONFIG.name}", "rows": [_whole_training()]})
    return [table for table in tables if table["rows"]]


def _training(
    shape: Shape, options: Options, device: torch.device, *, input_feeding: bool, cuda_graphs: bool
) -> tuple[dict[str, Any], Counter[str]]:
    """Return the speed of training, and how often the host waits in one update, by line of code."""
    variant = Variant(False, "top", input_feeding, "bf16")
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(Path(folder), shape, quick=options.quick, seed=options.seed, batch_tokens=BATCH_TOKENS)
        trainee = Ours(variant, shape, data.batches, device=device, seed=options.seed, cuda_graphs=cuda_graphs)
        for _ in range(30 if cuda_graphs and not options.quick else 3):  # most shapes are recorded
            trainee.update(trainee.batch())
        places = _waits(lambda: trainee.update(trainee.batch()), device)
        figures = []
        for _ in range(options.rounds):
            peak = matrix_speed(device, "bf16", size=QUICK_SIZE if options.quick else SIZE)
            figures.append(_round(trainee, peak, device, options))
    keys = figures[0].keys()
    return {key: statistics.median(figure[key] for figure in figures) for key in keys}, places


def _round(trainee: Ours, peak: float, device: torch.device, options: Options) -> dict[str, float]:
    batches = [trainee.batch() for _ in range(2 if options.quick else 30)]

    def learn() -> None:
        for batch in batches:
            trainee.update(batch)

    seconds = seconds_of(learn, device)
    targets = sum(batch.target_tokens for batch in batches)
    sources = sum(int(batch.source_lengths.sum()) for batch in batches)
    operations = sum(useful_operations(trainee.model, batch) for batch in batches)
    return {
        "target": round(targets / seconds),
        "source_and_target": round((sources + targets) / seconds),
        "share_of_peak": round(operations / seconds / peak, 4),
    }


def _waits(task: Callable[[], object], device: torch.device) -> Counter[str]:
    """Return how often the host waits for the device in `task`, by line of code. Torch reports each wait."""
    places: Counter[str] = Counter()
    if device.type != "cuda":
        return places
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            task()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for each in caught:
        if "synchroniz" in str(each.message):
            places[f"{Path(each.filename).name}:{each.lineno}"] += 1
    return places


def _search(shape: Shape, options: Options, *, input_feeding: bool) -> list[dict[str, Any]]:
    """Return the speed of the search for each batch size, without CUDA graphs and with them."""
    counts = {4: 8, 1: 2} if options.quick else SEARCHES
    pairs = draw_pairs(max(counts.values()), vocabulary=shape.vocabulary, seed=options.seed)
    file = model_file(shape, seed=options.seed, input_feeding=input_feeding)
    rows = []
    for batch, count in counts.items():
        jobs = [SearchJob(tuple(text)) for text in sentences(pairs.sources, range(count))]
        groups = [[job] for job in jobs] if batch == 1 else [jobs]
        found = []
        for cuda_graphs in (False, True):
            search = searcher(
                file,
                beam_size=BEAM,
                batch_sentences=batch,
                device=options.device,
                precision="fp32" if options.quick else "bf16",
                cuda_graphs=cuda_graphs,
            )
            found.append(_translate(search, groups))
            count_pieces = partial(_pieces, search, groups)
            speeds = [
                rate_of(count_pieces, torch.device("cpu"), seconds=options.seconds) for _ in range(options.rounds)
            ]
            same = sum(map(operator.eq, found[0], found[-1])) / count
            rows.append(
                {
                    "batch": batch,
                    "input_feeding": input_feeding,
                    "cuda_graphs": cuda_graphs,
                    "pieces_per_second": round(statistics.median(speeds)),
                    "same_translations": round(same, 4),
                }
            )
    return rows


def _translate(search: BatchSearcher, groups: list[list[SearchJob]]) -> list[list[int]]:
    """Return the best translation of each sentence, as ids."""
    return [found[0].ids for group in groups for found in search.search(group)]


def _pieces(search: BatchSearcher, groups: list[list[SearchJob]]) -> int:
    """Translate, and return the number of pieces."""
    return sum(map(len, _translate(search, groups)))


def _has_text() -> bool:
    return all((ROOT / pair.source).exists() for pair in load_config(CONFIG, []).data.train)


def _whole_training() -> dict[str, Any]:
    """Train `CONFIG` to its end as runs/gpu-benchmark, translate the test set, and return minutes and score."""
    name = "gpu-benchmark"
    limits = [f"name={name}", f"training.max_minutes={MINUTES}"]
    trained = python("-m", "nmt", "train", str(CONFIG), "--overwrite", *limits, folder=ROOT)
    scores = python("-m", "nmt", "evaluate", "--model", f"runs/{name}", "--quiet", folder=ROOT).output
    return {"minutes": round(trained.seconds / 60, 1), "score": " ".join(scores.split())}

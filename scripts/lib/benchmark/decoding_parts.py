"""Where the time of translation goes, in one thread and a process of its own.

`python -m benchmark.decoding_parts JSON` translates with a stopwatch around each part and prints the figures. The share
of the peak is 2 operations for each weight (embedding tables aside), real piece and hypothesis, over the speed of
numpy's 2048 x 2048 product in one thread, which is measured before and after. Both are measured in processor time, so
other programs disturb them less.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.decoding import BEAMS, QUICK_SENTENCES, SENTENCES, model_file, searcher
from benchmark.options import Options
from benchmark.peak import QUICK_SIZE, SIZE
from benchmark.processes import python
from benchmark.shapes import shape_of
from benchmark.synthetic import draw_pairs, sentences
from benchmark.training_parts import PartTimer
from nmt.engine import attention, decoder, encoder, network, products
from nmt.inference.batch_search import BatchSearcher
from nmt.inference.constraints import SearchJob
from nmt.inference.hardware import Processor

PARTS = ("products", "encoder", "decoder", "attention", "selection", "search")
"""Matrix products with weights; the rest of the encoder, of the decoder and of attention; the softmax and the best
continuations; the search that calls them."""
SECONDS = 2.0


def measure_decoding_parts(options: Options) -> list[dict[str, Any]]:
    """Return a row for each shape, search and batch size.

    It has the share of the peak, processor milliseconds a sentence, and the share of each part in percent.
    """
    print("decoding: parts", file=sys.stderr)
    counts = QUICK_SENTENCES if options.quick else SENTENCES
    searches = list(itertools.product(options.shapes, BEAMS, counts))
    request = {
        "searches": [(*search, counts[search[2]]) for search in searches],
        "quick": options.quick,
        "seed": options.seed,
        "seconds": min(SECONDS, 2 * options.seconds),
    }
    ran = python("-m", "benchmark.decoding_parts", json.dumps(request), environment={"OMP_NUM_THREADS": "1"})
    return [
        {"shape": shape, "search": "greedy" if beam == 1 else f"beam {beam}", "batch": batch, **figures}
        for (shape, beam, batch), figures in zip(searches, json.loads(ran.output), strict=True)
    ]


def main() -> None:
    request = json.loads(sys.argv[1])
    timer = PartTimer(lambda: None, time.process_time)
    timer.wrap(BatchSearcher, "search", "search")
    timer.wrap(encoder.InferenceEncoder, "__call__", "encoder")
    timer.wrap(decoder.InferenceDecoder, "step", "decoder")
    timer.wrap(attention.InferenceAttention, "__call__", "attention")
    timer.wrap(products.MatrixProduct, "__call__", "products")
    timer.wrap(network, "best_continuations", "selection")
    print(json.dumps([_measure(timer, *search, request) for search in request["searches"]]))


def _measure(
    timer: PartTimer, name: str, beam: int, batch: int, count: int, request: Mapping[str, Any]
) -> dict[str, Any]:
    shape = shape_of(name, quick=request["quick"])
    file = model_file(shape, seed=request["seed"])
    search = searcher(file, beam_size=beam, batch_sentences=batch, device="cpu", threads=1, precision="fp32")
    pairs = draw_pairs(count, vocabulary=shape.vocabulary, seed=request["seed"])
    jobs = [SearchJob(tuple(ids)) for ids in sentences(pairs.sources, range(count))]
    given = [[job] for job in jobs] if batch == 1 else [jobs]

    def translate() -> None:
        for part in given:
            search.search(part)

    translate()  # warm-up, which lays out the weights
    size = QUICK_SIZE if request["quick"] else SIZE
    before, began, times = _peak(size), time.perf_counter(), 0
    timer.seconds.clear()
    while not times or time.perf_counter() - began < request["seconds"]:
        translate()
        times += 1
    total = sum(timer.seconds.values())
    sizes = {name: math.prod(tensor.shape) for name, tensor in file.tensors.items() if "embeddings" not in name}
    encoding = sum(value for name, value in sizes.items() if name.startswith("encoder."))
    decoding = sum(value for name, value in sizes.items() if not name.startswith("encoder."))
    pieces = sum(len(job.ids) for job in jobs)
    operations = 2 * times * (encoding * (pieces + len(jobs)) + decoding * pieces * beam)
    return {
        "share_of_peak": round(operations / total / max(before, _peak(size)), 4),
        "cpu_ms_per_sentence": round(1000 * total / times / len(jobs), 3),
        **{f"{part}_percent": round(100 * timer.seconds.get(part, 0.0) / total, 1) for part in PARTS},
    }


def _peak(size: int) -> float:
    """Return the operations a second of numpy's product in one thread, the best of a few."""
    square = np.ones((size, size), np.float32)
    seconds = []
    with Processor(1).computing():
        for _ in range(3):
            began = time.process_time()
            square @ square
            seconds.append(time.process_time() - began)
    return 2 * size**3 / max(min(seconds), 1e-9)


if __name__ == "__main__":
    main()

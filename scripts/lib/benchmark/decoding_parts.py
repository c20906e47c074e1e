"""Where the time of translation goes, in one thread: one search in a process of its own.

`python -m benchmark.decoding_parts JSON` translates with a stopwatch around each part and prints the figures. The share
of the peak is 2 operations for each weight (embedding tables aside), real piece and hypothesis, over the speed of
numpy's 2048 x 2048 product in one thread, which is measured before and after. Both are measured in processor time, so
other programs disturb them less.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmark.options import Options
from benchmark.processes import python

PARTS = ("products", "encoder", "decoder", "attention", "selection", "search")
"""Matrix products with weights; the rest of the encoder, of the decoder and of attention; the softmax and the best
continuations; the search that calls them."""
SECONDS = 2.0


def in_a_process(shape: str, options: Options, *, beam: int, batch: int, count: int) -> dict[str, Any]:
    """Return the share of the peak, processor milliseconds a sentence, and the share of each part in percent."""
    request = {
        "shape": shape,
        "quick": options.quick,
        "seed": options.seed,
        "beam": beam,
        "batch": batch,
        "count": count,
        "seconds": min(SECONDS, 2 * options.seconds),
    }
    ran = python("-m", "benchmark.decoding_parts", json.dumps(request), environment={"OMP_NUM_THREADS": "1"})
    figures: dict[str, Any] = json.loads(ran.output)
    return figures


def main() -> None:
    import numpy as np

    from benchmark.decoding import model_file, searcher
    from benchmark.peak import QUICK_SIZE, SIZE
    from benchmark.shapes import shape_of
    from benchmark.synthetic import draw_pairs, sentences
    from benchmark.training_parts import PartTimer
    from nmt.engine import attention, decoder, encoder, network, products
    from nmt.inference.batch_search import BatchSearcher
    from nmt.inference.constraints import SearchJob
    from nmt.inference.hardware import Processor

    request = json.loads(sys.argv[1])
    size = QUICK_SIZE if request["quick"] else SIZE
    square = np.ones((size, size), np.float32)

    def peak() -> float:
        seconds = []
        with Processor(1).computing():
            for _ in range(3):
                began = time.process_time()
                square @ square
                seconds.append(time.process_time() - began)
        return 2 * size**3 / min(seconds)

    shape = shape_of(request["shape"], quick=request["quick"])
    file = model_file(shape, seed=request["seed"])
    search = searcher(
        file, beam_size=request["beam"], batch_sentences=request["batch"], device="cpu", threads=1, precision="fp32"
    )
    pairs = draw_pairs(request["count"], vocabulary=shape.vocabulary, seed=request["seed"])
    jobs = [SearchJob(tuple(ids)) for ids in sentences(pairs.sources, range(request["count"]))]
    given = [[job] for job in jobs] if request["batch"] == 1 else [jobs]

    def translate() -> None:
        for part in given:
            search.search(part)

    translate()  # warm-up, which lays out the weights
    timer = PartTimer(lambda: None, time.process_time)
    timer.wrap(BatchSearcher, "search", "search")
    timer.wrap(encoder.InferenceEncoder, "__call__", "encoder")
    timer.wrap(decoder.InferenceDecoder, "step", "decoder")
    timer.wrap(attention.InferenceAttention, "__call__", "attention")
    timer.wrap(products.MatrixProduct, "__call__", "products")
    timer.wrap(network, "best_continuations", "selection")
    before, began, times = peak(), time.perf_counter(), 0
    while not times or time.perf_counter() - began < request["seconds"]:
        translate()
        times += 1
    sizes = {name: np.prod(tensor.shape) for name, tensor in file.tensors.items() if "embeddings" not in name}
    encoding = sum(value for name, value in sizes.items() if name.startswith("encoder."))
    decoding = sum(value for name, value in sizes.items() if not name.startswith("encoder."))
    pieces = sum(len(job.ids) for job in jobs)
    operations = 2 * times * (encoding * (pieces + len(jobs)) + decoding * pieces * request["beam"])
    total = sum(timer.seconds.values())
    result = {
        "share_of_peak": round(float(operations / total / max(before, peak())), 3),
        "cpu_ms_per_sentence": round(1000 * total / times / len(jobs), 2),
        "percent": {part: round(100 * timer.seconds.get(part, 0.0) / total, 1) for part in PARTS},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

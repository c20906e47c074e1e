"""The command `scripts/benchmark`."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmark import report
from benchmark.bulk import measure_bulk
from benchmark.configuration import measure_configuration
from benchmark.decoding import measure_decoding
from benchmark.decoding_parts import measure_decoding_parts
from benchmark.gpu import measure_gpu
from benchmark.growth import measure_growth
from benchmark.options import DEFAULT_PARTS, PARTS, Options, set_up
from benchmark.peak import QUICK_SIZE, SIZE, both_speeds
from benchmark.peers import install_peers, measure_peers
from benchmark.preprocessing import measure_preprocessing
from benchmark.safety import measure_safety
from benchmark.scaling import measure_scaling
from benchmark.shapes import SHAPES
from benchmark.startup import measure_startup
from benchmark.training import measure_training
from benchmark.workers import measure_workers
from nmt import log
from nmt.errors import NMTError

ABOUT = """\
Measures how fast the toolkit trains, translates, starts and prepares text on this machine, beside the machine's own
matrix products and beside a textbook version of the same network (a loop over LSTMCells with input feeding, float
logits, fp32, batches in the order of the corpus). Everything takes turns, round by round; figures are medians.
With CONFIG it measures how fast that configuration trains on its own data instead. `nmt bench MODEL` measures a
trained model.

  scripts/benchmark                                     all of it, some minutes
  scripts/benchmark --parts training --shapes S         one part, one network
  scripts/benchmark --parts training,decoding --json    as one JSON object
  scripts/benchmark --parts gpu                         a CUDA device, with a training to its end, 10 minutes
  scripts/benchmark --parts scaling                     training in several processes, 4 minutes on two cores
  scripts/benchmark --parts workers                     nmt translate in several processes and on Ray, 4 minutes
  scripts/benchmark --parts peers                       beside OpenNMT-py and CTranslate2, 10 minutes
  scripts/benchmark --pairs 1000000,5000000             nmt preprocess with 1 and 2 processes
  scripts/benchmark configs/multi30k-en-de.yaml training.precision=fp32
"""
DATA = """\
No data is needed. Sentences are piece ids drawn by Zipf's law over a joint vocabulary of 8,000; target lengths have a
gamma distribution like that of Multi30k (mean 14 pieces, standard deviation 5, from 4 to 45), and a source is as long
as its target, give or take 15 %. Text for preprocessing comes from the generator of the exercise corpus.

Networks: S has embeddings of 256, a bidirectional encoder of one layer of 128 units each way and a decoder of one
layer of 256; M has embeddings of 512, two layers of 256 each way and two of 512. General attention, dropout 0.3, no
tied weights, no averaging of weights, Adam; batches of at most 4,096 target pieces, padding included.

Training: pieces per second count no padding. The share of peak is 6 operations for each weight (embedding tables
aside) and real piece, over the speed of a 2048 x 2048 matrix product in the same number format, by the faster of
torch's libraries, measured in the same round. Peak memory is the largest resident set of a process that does nothing
else, and what of it is beyond its imports. The time of each part is measured in that process too, so that the speed is
not disturbed by stopwatches. The toolkit's output and loss contain their own backward pass.

Decoding: random weights do not end sentences, so EOS is made impossible, and each translation is cut when it is as
long as its source. Batch 64 means that 192 sentences are handed over together; batch 1 that each is translated alone,
after the one before. Shortlists are drawn at random. What is left out is cutting text into pieces and joining them.
The share of peak is 2 operations for each weight (embedding tables aside), real piece and hypothesis, over the speed of
numpy's 2048 x 2048 product, both in one thread and in processor time. Products are those with weights. Selection is the
softmax and the best continuations. What remains of each part of the network and of the search has its own column.

Peers: OpenNMT-py and CTranslate2 are installed from the package index in a folder of .venv (200 MB), without torch.
This toolkit and OpenNMT-py translate with the same network: S with the same random weights. CTranslate2 has no
recurrent networks, so it has an int8 Transformer of 4 + 4 layers of 256. All translations are as long as their
sources: groups of 64 sentences of 8, 11, 14, 17 and 21 pieces, so that all systems have the same batches. One by one
are 4 of each group. Each system has its own process, and the processes take turns. A system that can use its threads
in several ways has the figure of its fastest way. One line: a new process that translates 14 pieces with a beam of 5.

GPU: S, M and GNMT (embeddings of 1,024, 4 layers of 512 each way, 4 layers of 1,024, a vocabulary of 32,000) in bf16,
batches of at most 16,384 target pieces, and search with batches of 128 and one by one. Torch counts where the host
waits for the device in an update. With the text of Multi30k, the recipe low-resource is trained to its end.

Threads: OMP_NUM_THREADS, or else one for each core.
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark", description=ABOUT, epilog=DATA, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", type=Path, help="time this configuration, whose text is there, instead")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options in place of the file's")
    parser.add_argument("--updates", type=_count, help="with CONFIG: updates to measure (60)")
    parser.add_argument(
        "--parts",
        type=_list(PARTS),
        help=f"what to measure, of {','.join(PARTS)} (all but scaling, workers, peers, gpu)",
    )
    parser.add_argument("--shapes", type=_list(tuple(SHAPES)), help=f"which networks, of {','.join(SHAPES)} (both)")
    parser.add_argument("--rounds", type=_count, help="times that everything is measured (3)")
    parser.add_argument("--seed", type=_count, default=1, help="of everything random (1)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)")
    parser.add_argument("--pairs", type=_counts, help="run nmt preprocess on so many generated pairs instead: N[,N...]")
    parser.add_argument("--processes", type=_counts, help="with --pairs: numbers of processes (1,2)")
    parser.add_argument("--full", action="store_true", help="growth over corpora of up to 5 million pairs: hours")
    parser.add_argument("--quick", action="store_true", help="a rehearsal in seconds; its figures mean nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args(arguments)
    if options.config is not None and (options.parts or options.shapes or options.full):
        parser.error("CONFIG is measured alone, without --parts, --shapes or --full")
    if options.pairs and (options.config is not None or options.parts or options.shapes or options.full):
        parser.error("--pairs is measured alone, without CONFIG, --parts, --shapes or --full")
    if options.processes and not options.pairs:
        parser.error("--processes goes with --pairs")
    if options.config is None and options.updates is not None:
        parser.error("--updates goes with CONFIG")
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _counts(text: str) -> tuple[int, ...]:
    return tuple(map(_count, text.split(",")))


def _list(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def split(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return names

    return split


def measure(options: Options) -> dict[str, Any]:
    """Measure what is asked for; the peak before and after each part."""
    device = set_up(options.device)
    peaks: list[dict[str, Any]] = []
    skipped: list[str] = []

    def peak(when: str) -> None:
        speeds = both_speeds(device, size=QUICK_SIZE if options.quick else SIZE)
        peaks.append({"when": when, "gflops": {name: round(speed / 1e9, 1) for name, speed in speeds.items()}})

    result: dict[str, Any] = {"machine": _machine(device, options), "peaks": peaks, "skipped": skipped}
    parts: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "training": lambda: measure_training(options, device, skipped),
        "decoding": lambda: measure_decoding(options, device, skipped),
        "startup": lambda: measure_startup(options),
        "preprocessing": lambda: measure_preprocessing(options),
        "growth": lambda: measure_growth(options, device),
        "safety": lambda: measure_safety(options),
        "scaling": lambda: measure_scaling(options, device),
        "workers": lambda: measure_workers(options, skipped),
        "peers": lambda: measure_peers(options, skipped),
        "gpu": lambda: measure_gpu(options, device, skipped),
    }
    parts = {name: part for name, part in parts.items() if name in options.parts}
    if "peers" in parts:
        install_peers()
    peak("before")
    for name, part in parts.items():
        result[name] = part()
        if name == "decoding" and device.type == "cpu":
            result["decoding_parts"] = measure_decoding_parts(options)
        peak(f"after {name.replace('_', ' ')}")
    result["skipped"] = list(dict.fromkeys(skipped))
    return result


def _machine(device: torch.device, options: Options) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} ({name})",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "quick": options.quick,
    }


def main() -> int:
    """Run the command and return its exit code."""
    arguments = parse()
    log.setup(level=logging.ERROR)
    options = Options(
        parts=arguments.parts or DEFAULT_PARTS,
        shapes=arguments.shapes or tuple(SHAPES),
        rounds=arguments.rounds or (1 if arguments.quick else 3),
        seed=arguments.seed,
        device=arguments.device,
        quick=arguments.quick,
        full=arguments.full,
    )
    try:
        if arguments.config is not None:
            result = measure_configuration(arguments.config, arguments.overrides, updates=arguments.updates or 60)
            lines = [f"{name:<32}{value}" for name, value in result.items()]
        elif arguments.pairs:
            result = measure_bulk(arguments.pairs, arguments.processes or (1, 2), seed=arguments.seed)
            lines = [section for title, rows in result.items() for section in report.section(title, rows)]
        else:
            result = measure(options)
            lines = list(report.tables(result))
    except NMTError as error:
        log.logger.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(json.dumps(result) if arguments.json else "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

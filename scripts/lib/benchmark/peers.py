"""The toolkit beside OpenNMT-py and CTranslate2 in one run: speed, processor time, memory, start and training.

This toolkit and OpenNMT-py translate with the same network: the shape S with the same random weights. CTranslate2 has
no recurrent networks, so it translates with an int8 Transformer of 4 layers of 256. The end of a sentence is
impossible, and each translation is cut when it is as long as its source. Sentences come in groups of 64 that have the
same length. So all systems have the same batches and write the same number of pieces.

Each system runs in processes of its own, and the processes take turns. A system that can use its threads in several
ways has a process for each way, and its figure is that of the fastest way.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from benchmark.clock import interleaved
from benchmark.decoding import model_file
from benchmark.options import Options
from benchmark.peer_worker import Ids, piece
from benchmark.processes import MEGABYTE, Ran, python, with_toolkit
from benchmark.shapes import Shape, shape_of
from benchmark.synthetic import FIRST_PIECE, draw_ids, draw_pairs, made_up_lines, made_up_tokenizers, sentences
from benchmark.trainees import BATCH_TOKENS, PAIRS, QUICK_BATCH_TOKENS, QUICK_PAIRS, Variant
from nmt.data.shortlist_table import ShortlistTable
from nmt.device import native_bf16
from nmt.errors import NMTError
from nmt.inference.model_file import save_model

REQUIREMENTS = ("OpenNMT-py==3.5.1", "ConfigArgParse>=1.7", "pyonmttok>=1.37,<2", "ctranslate2>=4,<5")
"""Installed without their dependencies: OpenNMT-py asks for an old torch, but runs with the one that is there."""
FOLDER = Path(sys.prefix) / "peers"

LENGTHS, QUICK_LENGTHS = (8, 11, 14, 17, 21), (3, 5)
GROUP, QUICK_GROUP = 64, 3
SINGLES, QUICK_SINGLES = 4, 1
"""Sentences of each group that are translated one by one."""
CELLS = {
    "beam 5, batch 64": (5, 64),
    "greedy, batch 64": (1, 64),
    "beam 5, one by one": (5, 1),
    "greedy, one by one": (1, 1),
}
START_RUNS, QUICK_START_RUNS = 5, 1

OPENNMT, TRANSFORMER, TRANSFORMER_SHORTLIST = "OpenNMT-py", "CTranslate2, int8", "CTranslate2, int8, shortlist"
LSTM = {
    "encoder_type": "brnn",
    "decoder_type": "rnn",
    "rnn_type": "LSTM",
    "global_attention": "general",
}
TRANSFORMER_OPTIONS = {
    "encoder_type": "transformer",
    "decoder_type": "transformer",
    "position_encoding": True,
    "heads": 4,
    "share_decoder_embeddings": True,
    "self_attn_type": "scaled-dot",
}


def install_peers() -> None:
    """Install the other toolkits in a folder of the environment, unless they are there.

    Raises:
        NMTError: They cannot be installed.
    """
    stamp = FOLDER / "requirements.txt"
    wanted = "".join(f"{requirement}\n" for requirement in REQUIREMENTS)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"peers: installing {', '.join(REQUIREMENTS)}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(FOLDER)]
    done = subprocess.run([*command, *REQUIREMENTS], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NMTError(
            f"The toolkits for the comparison cannot be installed. pip printed:\n{done.stderr.strip()}\n"
            "Check the network, or leave out --parts peers."
        )
    stamp.write_text(wanted, encoding="utf-8")


def version(package: str) -> str:
    """Return the version of one of the installed toolkits."""
    for found in importlib.metadata.distributions(path=[str(FOLDER)]):
        if found.metadata["Name"].lower() == package.lower():
            return found.version
    return "unknown"


class Worker:
    """A process that measures one system, see `benchmark.peer_worker`."""

    def __init__(self, setup: Mapping[str, Any], folder: Path, *, environment: Mapping[str, str]) -> None:
        self._kind = setup["kind"]
        handle, name = tempfile.mkstemp(dir=folder, suffix=".json")
        with open(handle, "w", encoding="utf-8") as stream:
            json.dump(setup, stream)
        self._errors = Path(f"{name}.log")
        with self._errors.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "benchmark.peer_worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**with_toolkit(), **environment},
            )

    def answer(self) -> dict[str, Any]:
        """Return the next line that the process prints.

        Raises:
            NMTError: The process ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            log = self._errors.read_text("utf-8", errors="replace").strip()
            raise NMTError(f"the process {self._kind} failed with exit code {self._process.wait()}:\n{log[-2000:]}")
        figures: dict[str, Any] = json.loads(line)
        return figures

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def finish(self) -> dict[str, Any]:
        """Say that no more requests come, and return the last answer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            self._process.stdin.close()


@contextmanager
def worker(setup: Mapping[str, Any], folder: Path, *, peers: bool) -> Iterator[Worker]:
    """Start a process, and end it afterwards."""
    started = Worker(setup, folder, environment=peer_environment() if peers else {})
    try:
        yield started
    finally:
        started.close()


def peer_environment() -> dict[str, str]:
    """Return the environment in which Python can import the other toolkits too."""
    path = os.pathsep.join([with_toolkit()["PYTHONPATH"], str(FOLDER)])
    # OpenNMT-py's checkpoints contain Python objects, which torch refuses to read by default.
    return {
        "PYTHONPATH": path,
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }


class System(NamedTuple):
    """A row of the table of translation."""

    name: str
    setups: list[dict[str, Any]]
    """A process for each way to use threads."""
    start: list[str]
    """Arguments of Python for the translation of one line from standard input."""
    peers: bool


class Files:
    """The models of all systems in one folder, made from one network with random weights."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.quick = options.quick
        self.seed = options.seed
        self.threads = torch.get_num_threads()
        base = shape_of("S", quick=options.quick)
        self.tokenizers = made_up_tokenizers(vocabulary=base.vocabulary, seed=options.seed)
        self.shape: Shape = base._replace(vocabulary=self.tokenizers.source.size)
        made = model_file(self.shape, seed=options.seed, bridge="last_with_cells")
        assert made.shortlist is not None
        self.parameters = sum(math.prod(tensor.shape) for tensor in made.tensors.values())
        self.transformer_parameters = 0
        self.model = folder / "model.safetensors"
        save_model(
            self.model,
            weights=made.weights,
            config=made.config,
            tokenizers=self.tokenizers,
            provenance=made.provenance,
            shortlist=made.shortlist,
        )
        pieces = "".join(f"{piece(number)}\t1\n" for number in range(FIRST_PIECE, self.shape.vocabulary))
        (folder / "vocabulary").write_text(pieces, encoding="utf-8")
        pairs = draw_pairs(QUICK_PAIRS if self.quick else PAIRS, vocabulary=self.shape.vocabulary, seed=self.seed)
        for side, rows in zip(("src", "tgt"), pairs, strict=True):
            lines = sentences(rows, range(len(rows.lengths)))
            text = "".join(" ".join(map(piece, line)) + "\n" for line in lines)
            (folder / f"train.{side}").write_text(text, encoding="utf-8")
        write_vocabulary_map(made.shortlist, folder / "map.txt")
        # A line of about the usual length.
        lengths = {line: len(ids) for line, ids in self._encoded(made_up_lines(200, seed=self.seed))}
        self.line = min(lengths, key=lambda line: abs(lengths[line] - LENGTHS[2]))
        self.line_ids = self.tokenizers.source.encode([self.line])[0]

    def _encoded(self, lines: list[str]) -> Iterator[tuple[str, Ids]]:
        return zip(lines, self.tokenizers.source.encode(lines), strict=True)

    def export(self, *, int8: bool) -> Path:
        """Write the graphs of `nmt export onnx`, and return their folder."""
        folder = self.folder / ("onnx-int8" if int8 else "onnx")
        python("-m", "nmt", "export", "onnx", str(self.model), "-o", str(folder), *["--int8"] * int8)
        return folder

    def opennmt_config(self, name: str, *, layers: int, updates: int, **network: Any) -> Path:
        """Write a configuration of OpenNMT-py, and return its path. The checkpoint is `name`_step_`updates`.pt."""
        quick_size = self.shape.embedding
        config = {
            "src_vocab": str(self.folder / "vocabulary"),
            "tgt_vocab": str(self.folder / "vocabulary"),
            "share_vocab": True,
            "data": {
                "corpus": {
                    "path_src": str(self.folder / "train.src"),
                    "path_tgt": str(self.folder / "train.tgt"),
                    "transforms": [],
                    "weight": 1,
                }
            },
            "save_data": str(self.folder / "save"),
            "save_model": str(self.folder / name),
            "overwrite": True,
            "train_steps": updates,
            "save_checkpoint_steps": updates,
            "report_every": 10**6,
            "num_workers": 0,
            "bucket_size": PAIRS,
            "batch_type": "tokens",
            "batch_size": QUICK_BATCH_TOKENS if self.quick or updates == 1 else BATCH_TOKENS,
            "normalization": "tokens",
            "accum_count": [1],
            "optim": "adam",
            "learning_rate": 0.001,
            "max_grad_norm": 1,
            "label_smoothing": 0.1,
            "dropout": [0.3],
            "layers": layers,
            "hidden_size": quick_size,
            "word_vec_size": quick_size,
            **network,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def opennmt_model(self) -> Path:
        """Write OpenNMT-py's checkpoint of our network, and return its path."""
        made = self._new_checkpoint("lstm", layers=self.shape.encoder_layers, input_feed=0, **LSTM)
        copied = self.folder / "network.pt"
        self._run({"kind": "copy", "model": str(self.model), "checkpoint": str(made), "output": str(copied)})
        return copied

    def transformer(self) -> Path:
        """Write CTranslate2's Transformer, and return its folder."""
        made = self._new_checkpoint(
            "transformer",
            layers=1 if self.quick else 4,
            transformer_ff=4 * self.shape.embedding,
            **TRANSFORMER_OPTIONS,
        )
        folder = self.folder / "transformer"
        setup = {"kind": "convert", "checkpoint": str(made), "vmap": str(self.folder / "map.txt"), "model": str(folder)}
        self.transformer_parameters = self._run(setup)["parameters"]
        return folder

    def _new_checkpoint(self, name: str, **network: Any) -> Path:
        config = self.opennmt_config(name, updates=1, **network)
        self._run(
            {"kind": "opennmt-training", "config": str(config), "threads": self.threads, "save": True, "seconds": 0}
        )
        return self.folder / f"{name}_step_1.pt"

    def _run(self, setup: dict[str, Any]) -> dict[str, Any]:
        with worker(setup, self.folder, peers=True) as process:
            return process.answer()

    def groups(self) -> list[list[Ids]]:
        """Draw the sentences: groups of one length each."""
        generator = np.random.default_rng(self.seed)
        count = QUICK_GROUP if self.quick else GROUP
        return [
            draw_ids(count * length, vocabulary=self.shape.vocabulary, generator=generator).reshape(count, -1).tolist()
            for length in (QUICK_LENGTHS if self.quick else LENGTHS)
        ]


def write_vocabulary_map(table: ShortlistTable, path: Path) -> None:
    """Write a shortlist table as CTranslate2 reads it: a source piece, a tab and target pieces in each line."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write("\t" + " ".join(map(piece, table.frequent)) + "\n")
        for source, targets in enumerate(table.translations):
            if source >= FIRST_PIECE:
                kept = [piece(target) for target in targets if target >= FIRST_PIECE]
                stream.write(f"{piece(source)}\t{' '.join(kept)}\n")


def systems(files: Files, skipped: list[str]) -> list[System]:
    """Return what translates; what cannot be made is put to `skipped`."""
    found = [
        _ours(files, "nmt, numpy", files.model),
        _ours(files, "nmt, numpy, shortlist", files.model, shortlist=True),
    ]
    for int8 in (False, True):
        name = f"nmt, ONNX Runtime{', int8' * int8}"
        try:
            folder = files.export(int8=int8)
        except NMTError as error:
            skipped.append(_reason(name, error))
            continue
        found += [_ours(files, name, folder), _ours(files, f"{name}, shortlist", folder, shortlist=True)]
    return found + _opennmt(files) + _ctranslate2(files)


def _reason(name: str, error: NMTError) -> str:
    """Return why a system is left out: the last line of its messages."""
    return f"peers: {name}: {str(error).splitlines()[-1]}"


def _setup(files: Files, kind: str, model: Path, **others: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "model": str(model),
        "threads": files.threads,
        "singles": QUICK_SINGLES if files.quick else SINGLES,
        "groups": files.groups(),
        "decoding": {},
        **others,
    }


def _ours(files: Files, name: str, model: Path, **decoding: Any) -> System:
    options = ["--shortlist"] if decoding.get("shortlist") else []
    start = ["-m", "nmt", "translate", "--model", str(model), "--beam-size", "5", *options]
    return System(name, [_setup(files, "nmt", model, decoding=decoding)], start, peers=False)


def _opennmt(files: Files) -> list[System]:
    model = files.opennmt_model()
    source = files.folder / "line.src"
    source.write_text(" ".join([*map(piece, files.line_ids), "</s>"]) + "\n", encoding="utf-8")
    length = str(len(files.line_ids))
    program = (
        "from benchmark.peer_worker import replace_unused_modules; replace_unused_modules()\n"
        "from onmt.bin.translate import main; main()"
    )
    lengths = ["-beam_size", "5", "-max_length", length, "-max_length_ratio", "0"]
    start = ["-W", "ignore", "-c", program, "-model", str(model), "-src", str(source), "-output", os.devnull, *lengths]
    setups = [_setup(files, "opennmt", model, threads=threads) for threads in sorted({1, files.threads})]
    return [System(OPENNMT, setups, start, peers=True)]


def _ctranslate2(files: Files) -> list[System]:
    model = files.transformer()
    subwords = files.folder / "source.spm"
    subwords.write_bytes(files.tokenizers.source.model_bytes)
    length = len(files.line_ids)
    found = []
    for name, shortlist in ((TRANSFORMER, False), (TRANSFORMER_SHORTLIST, True)):
        program = (
            "import sys, ctranslate2, sentencepiece\n"
            f"subwords = sentencepiece.SentencePieceProcessor(model_file={str(subwords)!r})\n"
            f"translator = ctranslate2.Translator({str(model)!r}, intra_threads={files.threads})\n"
            "pieces = [f'p{number}' for number in subwords.encode(sys.stdin.readline())]\n"
            f"print(translator.translate_batch([pieces], beam_size=5, min_decoding_length={length}, "
            f"max_decoding_length={length}, use_vmap={shortlist}))"
        )
        setups = [
            _setup(files, "ctranslate2", model, decoding={"shortlist": shortlist}, batches_at_once=count)
            for count in sorted({1, files.threads})
        ]
        found.append(System(name, setups, ["-c", program], peers=True))
    return found


def measure_peers(options: Options, skipped: list[str]) -> list[dict[str, Any]]:
    """Return the tables of the comparison, each with a title and rows."""
    if options.device == "cuda":
        raise NMTError("--parts peers measures processors. Leave out --device cuda.")
    install_peers()
    print("peers: models", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        files = Files(Path(temporary), options)
        rows = systems(files, skipped)
        translated = _measure_translation(rows, files, options, skipped)
        started = _measure_start(rows, translated, files, options)
        trained = _measure_training(files, options)
    millions = [count / 1e6 for count in (files.parameters, files.transformer_parameters)]
    sizes = "{:.1f} million parameters, the Transformer {:.1f}".format(*millions)
    versions = f"OpenNMT-py {version('OpenNMT-py')}, CTranslate2 {version('ctranslate2')}"
    mean = sum(QUICK_LENGTHS if options.quick else LENGTHS) / len(QUICK_LENGTHS if options.quick else LENGTHS)
    pieces = f"{mean:.1f} pieces each; {sizes}"
    return [
        {"title": f"Translation beside {versions}: sentences a second, {pieces}", "rows": _table(translated, "speed")},
        {"title": "The same: processor milliseconds a sentence", "rows": _table(translated, "cpu")},
        {"title": f"The same: times as fast as {OPENNMT}", "rows": _ratios(translated, OPENNMT)},
        {"title": f"The same: times as fast as {TRANSFORMER}", "rows": _ratios(translated, TRANSFORMER)},
        {"title": "One line, the whole process; memory; greedy lines equal to nmt, numpy", "rows": started},
        {"title": "Training: target pieces a second", "rows": trained},
    ]


Measured = dict[str, dict[str, Any]]
"""For each system: "speed" and "cpu" for each cell, "peak_bytes", "check" (its translations)."""


def _measure_translation(rows: Sequence[System], files: Files, options: Options, skipped: list[str]) -> Measured:
    """Measure speed and processor time of all systems in turns."""
    found: Measured = {}
    figures: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        tasks = {}
        for system in rows:
            print(f"peers: {system.name}", file=sys.stderr)
            for way, setup in enumerate(system.setups):
                process = stack.enter_context(worker(setup, files.folder, peers=system.peers))
                try:
                    ready = process.answer()
                except NMTError as error:
                    skipped.append(_reason(system.name, error))
                    break
                known = found.setdefault(system.name, {"peak_bytes": ready["peak_bytes"], "check": ready["check"]})
                known["peak_bytes"] = min(known["peak_bytes"], ready["peak_bytes"])
                for cell in CELLS:
                    key = system.name, way, cell
                    figures[key] = []
                    tasks[key] = partial(_turn, process, cell, figures[key], options.seconds)
                    if not options.quick:
                        _turn(process, cell, [], 0)  # warm-up
        print(f"peers: {len(tasks)} tasks in {options.rounds} rounds", file=sys.stderr)
        interleaved(tasks, rounds=options.rounds)
    for name, known in found.items():
        known["speed"], known["cpu"] = {}, {}
        for cell in CELLS:
            ways = [
                _medians(values) for (system_name, _, c), values in figures.items() if (system_name, c) == (name, cell)
            ]
            known["speed"][cell], known["cpu"][cell] = max(ways)
    return found


def _turn(process: Worker, cell: str, figures: list[tuple[float, float]], seconds: float) -> float:
    """Let a process translate; note sentences a second and processor seconds a sentence."""
    beam, batch = CELLS[cell]
    ran = process.ask({"beam": beam, "batch": batch, "seconds": seconds})
    figures.append((ran["done"] / ran["seconds"], ran["cpu_seconds"] / ran["done"]))
    return figures[-1][0]


def _medians(figures: Sequence[tuple[float, float]]) -> tuple[float, float]:
    speeds, cpu = zip(*figures, strict=True)
    return statistics.median(speeds), statistics.median(cpu)


def _table(found: Measured, what: str) -> list[dict[str, Any]]:
    factor = 1000 if what == "cpu" else 1
    return [
        {"system": name, **{cell: round(known[what][cell] * factor, 1) for cell in CELLS}}
        for name, known in found.items()
    ]


def _ratios(found: Measured, base: str) -> list[dict[str, Any]]:
    return [
        {"system": name, **{c: round(known["speed"][c] / found[base]["speed"][c], 2) for c in CELLS}}
        for name, known in found.items()
        if base in found
    ]


def _measure_start(
    rows: Sequence[System], translated: Measured, files: Files, options: Options
) -> list[dict[str, Any]]:
    """Measure the translation of one line by a new process of each system."""
    runs: dict[str, list[Ran]] = {}

    def start(system: System) -> float:
        environment = peer_environment() if system.peers else {}
        ran = python(*system.start, stdin=f"{files.line}\n", folder=files.folder, environment=environment)
        runs.setdefault(system.name, []).append(ran)
        return ran.seconds

    print("peers: start", file=sys.stderr)
    tasks = {system.name: partial(start, system) for system in rows if system.name in translated}
    interleaved(tasks, rounds=QUICK_START_RUNS if options.quick else START_RUNS)
    first = next(iter(translated.values()))["check"]
    return [
        {
            "system": name,
            "seconds": round(statistics.median(ran.seconds for ran in several), 2),
            "cpu_seconds": round(statistics.median(ran.cpu_seconds for ran in several), 2),
            "memory_mb": round(statistics.median(ran.peak_bytes for ran in several) / MEGABYTE),
            "memory_of_batches_mb": round(translated[name]["peak_bytes"] / MEGABYTE),
            "equal_lines": _equal(first, translated[name]["check"]),
        }
        for name, several in runs.items()
    ]


def _equal(first: list[list[Any]], second: list[list[Any]]) -> str:
    """Return how many translations are equal, of how many."""
    pairs = [pair for groups in zip(first, second, strict=True) for pair in zip(*groups, strict=True)]
    return f"{sum(one == other for one, other in pairs)} of {len(pairs)}"


def _measure_training(files: Files, options: Options) -> list[dict[str, Any]]:
    """Measure training without and with input feeding, in turns."""
    common = {"threads": files.threads, "seconds": options.seconds, "folder": "", "quick": options.quick}
    precisions = ["fp32", *(["bf16"] if native_bf16(torch.device("cpu")) else [])]
    figures: dict[str, list[tuple[float, float]]] = {}
    peaks: dict[str, int] = {}
    with ExitStack() as stack:
        workers = {}
        for feeding in (False, True):
            suffix = ", input feeding" * feeding
            for precision in precisions:
                name = f"nmt, {precision}{suffix}"
                variant = Variant(False, "top", feeding, precision)._asdict()
                folder = files.folder / name.replace(", ", "-").replace(" ", "-")
                folder.mkdir()
                setup = {"kind": "nmt-training", "variant": variant, "shape": list(files.shape), "seed": files.seed}
                workers[name] = setup | common | {"folder": str(folder)}
            name = f"{OPENNMT}, fp32{suffix}"
            config = files.opennmt_config(
                f"training-{feeding:d}",
                layers=files.shape.encoder_layers,
                updates=10**6,
                input_feed=int(feeding),
                **LSTM,
            )
            workers[name] = {"kind": "opennmt-training", "config": str(config), "save": False} | common
        tasks = {}
        started = {}
        for name, setup in workers.items():
            print(f"peers: training, {name}", file=sys.stderr)
            process = stack.enter_context(worker(setup, files.folder, peers=name.startswith(OPENNMT)))
            process.answer()
            started[name] = process
            figures[name] = []
            tasks[name] = partial(_training_turn, process, figures[name], options.seconds)
        interleaved(tasks, rounds=options.rounds)
        for name, process in started.items():
            peaks[name] = process.finish()["peak_bytes"]
    speeds = {name: _medians(values) for name, values in figures.items()}
    rows = []
    for name, (speed, cpu) in speeds.items():
        base = speeds[f"{OPENNMT}, fp32{', input feeding' * name.endswith('feeding')}"][0]
        rows.append(
            {
                "system": name,
                "target_pieces_per_second": round(speed),
                "times_opennmt": round(speed / base, 2),
                "cpu_microseconds_per_piece": round(cpu * 1e6, 1),
                "memory_mb": round(peaks[name] / MEGABYTE),
            }
        )
    return rows


def _training_turn(process: Worker, figures: list[tuple[float, float]], seconds: float) -> float:
    ran = process.ask({"seconds": 3 * seconds})
    figures.append((ran["done"] / ran["seconds"], ran["cpu_seconds"] / ran["done"]))
    return figures[-1][0]

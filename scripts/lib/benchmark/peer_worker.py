"""One translator or trainer of the comparison with other toolkits, in a process of its own.

`python -m benchmark.peer_worker SETUP.json` loads what the file describes and prints a line of JSON when it is ready.
Then it reads requests from standard input, one line of JSON each, and prints the figures of each: amount of work,
seconds and processor seconds. Between two requests it waits, so that several processes can take turns.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from benchmark.launcher import KILOBYTE
from nmt.data.special_tokens import BOS, EOS, PAD, UNK

Ids = list[int]
Figures = dict[str, Any]
FIRST_PIECE = EOS + 1
UNUSED_MODULES = ("ahocorasick", "fasttext", "rapidfuzz", "spacy")
"""OpenNMT-py imports these packages for text transforms that nothing here uses. Empty modules replace them."""


def piece(number: int) -> str:
    """Return the token of OpenNMT-py and CTranslate2 for the piece `number`."""
    return f"p{number}"


def replace_unused_modules() -> None:
    """Let OpenNMT-py be imported without packages that nothing here needs."""
    for name in UNUSED_MODULES:
        sys.modules[name] = types.ModuleType(name)
    rapidfuzz: Any = sys.modules["rapidfuzz"]
    rapidfuzz.fuzz = rapidfuzz.process = None


class Toolkit:
    """The translation search of our toolkit. A group is a list of sentences of one length."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._setup = setup
        self._searchers: dict[int, Any] = {}

    def translate(self, group: list[Ids], *, beam: int) -> list[Ids]:
        """Return a translation for each sentence of `group`, as long as its source."""
        from nmt.inference.constraints import SearchJob

        found = self._searcher(beam).search([SearchJob(tuple(ids)) for ids in group])
        return [list(best[0].ids) for best in found]

    def translate_groups(self, groups: list[list[Ids]], *, beam: int) -> None:
        """Translate all groups together, so that two batches can be searched at the same time."""
        self.translate([ids for group in groups for ids in group], beam=beam)

    def _searcher(self, beam: int) -> Any:
        if beam not in self._searchers:
            from nmt.inference.model_file import load_models
            from nmt.inference.translator import Translator

            decoding = {"beam_size": beam, "threads": self._setup["threads"], **self._setup["decoding"]}
            models = load_models([self._setup["model"]])
            self._searchers[beam] = Translator.from_models(models, decoding=decoding)._searcher
        return self._searchers[beam]


class OpenNMT:
    """OpenNMT-py's translator, fed through its own inference engine."""

    def __init__(self, setup: dict[str, Any]) -> None:
        replace_unused_modules()
        import torch
        from onmt.bin.translate import _get_parser
        from onmt.inference_engine import InferenceEnginePY
        from onmt.utils.parse import ArgumentParser

        torch.set_num_threads(setup["threads"])
        output = ["-output", os.devnull, "-log_file", os.devnull]
        options = _get_parser().parse_args(["-model", setup["model"], "-src", os.devnull, *output])
        ArgumentParser.validate_translate_opts(options)
        ArgumentParser._get_all_transform_translate(options)
        ArgumentParser._validate_transforms_opts(options)
        ArgumentParser.validate_translate_opts_dynamic(options)
        options.batch_size, options.batch_type, options.num_workers = 64, "sents", 0
        self._engine = InferenceEnginePY(options)

    def translate(self, group: list[Ids], *, beam: int) -> list[Ids]:
        """Return a translation for each sentence of `group`, as long as its source."""
        translator = self._engine.translator
        translator.beam_size, translator.max_length, translator.max_length_ratio = beam, len(group[0]), 0
        # Our encoder reads the end of the sentence. This one does if it is a token of the text.
        _, found = self._engine.infer_list([" ".join([*map(piece, ids), "</s>"]) for ids in group])
        return [[int(token[1:]) for token in best[0].split()] for best in found]

    def translate_groups(self, groups: list[list[Ids]], *, beam: int) -> None:
        """Translate one group after the other."""
        for group in groups:
            self.translate(group, beam=beam)


class CTranslate2:
    """CTranslate2. A batch has all threads, or each of several batches at the same time has one thread."""

    def __init__(self, setup: dict[str, Any]) -> None:
        import ctranslate2

        at_once = setup["batches_at_once"]
        self._translator = ctranslate2.Translator(
            setup["model"], inter_threads=at_once, intra_threads=max(1, setup["threads"] // at_once)
        )
        self._use_shortlist = bool(setup["decoding"].get("shortlist"))

    def translate(self, group: list[Ids], *, beam: int) -> list[list[str]]:
        """Return a translation for each sentence of `group`, as long as its source."""
        return [each.hypotheses[0] for each in self._start(group, beam, wait=True)]

    def translate_groups(self, groups: list[list[Ids]], *, beam: int) -> None:
        """Translate all groups, several at the same time if there are several translators."""
        for pending in [self._start(group, beam, wait=False) for group in groups]:
            for each in pending:
                each.result()

    def _start(self, group: list[Ids], beam: int, *, wait: bool) -> list[Any]:
        length = len(group[0])
        found: list[Any] = self._translator.translate_batch(
            [[piece(number) for number in ids] for ids in group],
            beam_size=beam,
            max_batch_size=64,
            min_decoding_length=length,
            max_decoding_length=length,
            disable_unk=True,
            use_vmap=self._use_shortlist,
            asynchronous=not wait,
        )
        return found


def translations(setup: dict[str, Any], requests: Iterator[dict[str, Any]], answer: Callable[[Figures], None]) -> None:
    """Translate what the requests ask for, `beam` and `batch`, for at least `seconds`."""
    groups: list[list[Ids]] = setup["groups"]
    singles: list[Ids] = [ids for group in groups for ids in group[: setup["singles"]]]
    toolkit: Any = {"nmt": Toolkit, "opennmt": OpenNMT, "ctranslate2": CTranslate2}[setup["kind"]](setup)
    for group in groups:
        assert [len(found) for found in toolkit.translate(group, beam=5)] == [len(ids) for ids in group]
    peak = peak_bytes()
    # Greedy: hypotheses of a beam are so close with random weights that rounding changes their order.
    answer({"ready": True, "peak_bytes": peak, "check": [toolkit.translate(group, beam=1) for group in groups]})

    def work(beam: int, batch: int) -> int:
        if batch > 1:
            toolkit.translate_groups(groups, beam=beam)
            return sum(map(len, groups))
        for ids in singles:
            toolkit.translate([ids], beam=beam)
        return len(singles)

    for request in requests:
        answer(repeated(lambda: work(request["beam"], request["batch"]), request["seconds"]))  # noqa: B023


def repeated(work: Callable[[], int], seconds: float) -> Figures:
    """Repeat `work`, which returns its amount, for at least `seconds`."""
    began, cpu_began, done = time.perf_counter(), time.process_time(), 0
    while not done or time.perf_counter() - began < seconds:
        done += work()
    return {"done": done, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}


def training(setup: dict[str, Any], requests: Iterator[dict[str, Any]], answer: Callable[[Figures], None]) -> None:
    """Train our network on drawn pairs, for at least `seconds` a request."""
    from benchmark.options import set_up
    from benchmark.shapes import Shape
    from benchmark.trainees import Variant, make_data, make_trainee

    device = set_up("cpu")
    shape = Shape(*setup["shape"])
    data = make_data(Path(setup["folder"]) / "store", shape, quick=setup["quick"], seed=setup["seed"])
    trainee = make_trainee(Variant(**setup["variant"]), shape, data, device=device, seed=setup["seed"])

    def update() -> int:
        batch = trainee.batch()
        trainee.update(batch)
        return batch.target_tokens

    repeated(update, setup["seconds"])  # warm-up
    answer({"ready": True})
    for request in requests:
        answer(repeated(update, request["seconds"]))
    answer({"peak_bytes": peak_bytes()})


def opennmt_training(
    setup: dict[str, Any], requests: Iterator[dict[str, Any]], answer: Callable[[Figures], None]
) -> None:
    """Run OpenNMT-py's training program. It pauses between two updates until the next request."""
    replace_unused_modules()
    import torch
    from onmt.bin.train import main as train
    from onmt.trainer import Trainer

    torch.set_num_threads(setup["threads"])
    original = Trainer._gradient_accumulation
    turn = {"began": time.perf_counter(), "cpu": time.process_time(), "done": 0, "seconds": setup["seconds"]}

    def update(self: Any, batches: Any, *others: Any) -> None:
        original(self, batches, *others)
        turn["done"] += sum(int((batch["tgt"][:, 1:, 0] != self.train_loss.padding_idx).sum()) for batch in batches)
        seconds = time.perf_counter() - turn["began"]
        if seconds < turn["seconds"]:
            return
        answer({"done": turn["done"], "seconds": seconds, "cpu_seconds": time.process_time() - turn["cpu"]})
        request = next(requests, None)
        if request is None:
            answer({"peak_bytes": peak_bytes()})
            sys.exit(0)
        turn.update(began=time.perf_counter(), cpu=time.process_time(), done=0, seconds=request["seconds"])

    if not setup["save"]:
        Trainer._gradient_accumulation = update
    sys.argv = ["onmt_train", "-config", setup["config"]]
    train()
    answer({"ready": True})


def convert(setup: dict[str, Any], requests: Iterator[dict[str, Any]], answer: Callable[[Figures], None]) -> None:
    """Convert a checkpoint of OpenNMT-py to a model of CTranslate2 with int8 weights."""
    replace_unused_modules()
    import argparse

    import torch
    from ctranslate2.converters import OpenNMTPyConverter

    torch.serialization.add_safe_globals([argparse.Namespace])
    OpenNMTPyConverter(setup["checkpoint"]).convert(setup["model"], quantization="int8", vmap=setup["vmap"], force=True)
    checkpoint = torch.load(setup["checkpoint"], weights_only=False)
    answer({"parameters": sum(value.numel() for part in ("model", "generator") for value in checkpoint[part].values())})


def copy_network(setup: dict[str, Any], requests: Iterator[dict[str, Any]], answer: Callable[[Figures], None]) -> None:
    """Write a checkpoint of OpenNMT-py with the weights of a model file of ours."""
    replace_unused_modules()
    import torch
    from safetensors.torch import load_file

    ours = load_file(setup["model"])
    checkpoint = torch.load(setup["checkpoint"], weights_only=False)
    for part in ("model", "generator"):
        weights = checkpoint[part]
        for name in weights:
            found = ours[our_name(f"{part}.{name}")].float()
            if name.endswith("linear_in.weight"):
                found = found.T.contiguous()
            if "embeddings" in name or part == "generator":
                found = found[[UNK, PAD, BOS, EOS, *range(FIRST_PIECE, len(found))]]
            assert weights[name].shape == found.shape, name
            weights[name] = found
    del checkpoint["optim"]
    torch.save(checkpoint, setup["output"])
    answer({"ready": True})


def our_name(name: str) -> str:
    """Return our name of a parameter of OpenNMT-py's network: attention without input feeding."""
    fixed = {
        "generator.weight": "output.weight",
        "generator.bias": "output.bias",
        "model.decoder.attn.linear_in.weight": "decoder.attention.score.projection.weight",
        "model.decoder.attn.linear_out.weight": "decoder.attentional_layer.weight",
        "model.encoder.embeddings.make_embedding.emb_luts.0.weight": "encoder.embeddings.table.weight",
        "model.decoder.embeddings.make_embedding.emb_luts.0.weight": "decoder.embeddings.table.weight",
    }
    if name in fixed:
        return fixed[name]
    matched = re.fullmatch(r"model\.(encoder|decoder)\.rnn\.(\w+)_l(\d+)(_reverse)?", name)
    assert matched is not None, name
    side, kind, layer, reverse = matched.groups()
    cell = "" if side == "decoder" else "backward_cell." if reverse else "forward_cell."
    return f"{side}.layers.{layer}.{cell}{kind}_l0"


def peak_bytes() -> int:
    """Return the most memory that this program had. The figure of getrusage includes the process that started it."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    setup = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    # What the toolkits print goes to standard error.
    output: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(figures: Figures) -> None:
        print(json.dumps(figures), file=output, flush=True)

    kinds = {"nmt-training": training, "opennmt-training": opennmt_training, "convert": convert, "copy": copy_network}
    kinds.get(setup["kind"], translations)(setup, map(json.loads, sys.stdin), answer)


if __name__ == "__main__":
    main()

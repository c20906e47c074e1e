"""The files that are changed, and the commands that read them."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from campaign.forks import run
from campaign.mutations import (
    Mutator,
    damage,
    hostile_tensors,
    in_gzip,
    in_zip,
    json_lines,
    json_nodes,
    lines,
    tags,
    yaml_nodes,
)
from campaign.scenarios import TRAIN, TemplateError, documents, write_experiment
from toy_experiments import toy_pairs

LINES = 12
MODEL = ("-m", "model.safetensors", "--beam-size", "1")


@dataclass(frozen=True)
class Target:
    """A kind of file, how it is changed, and the command that reads it.

    Attributes:
        name: For reports.
        file: The file, relative to the folder of the command. A pattern must match one file.
        mutate: Changes the content.
        command: Arguments of nmt.
        strict: Whether every change must be refused, because the file has checksums.
        one_line_each: An output file that must have one line for each line of `file`.
        weight: How often it is chosen, relative to others.
    """

    name: str
    file: str
    mutate: Mutator
    command: Sequence[str]
    strict: bool = False
    one_line_each: str | None = None
    weight: int = 4


def _translate(*options: str, output: str = "out.de") -> tuple[str, ...]:
    return ("translate", "few.en", *MODEL, *options, "-o", output)


def _document(name: str, output: str) -> tuple[str, ...]:
    return ("translate", name, *MODEL, "-o", output)


MODELS = (
    Target("damaged model", "model.safetensors", damage, ("info", "model.safetensors"), strict=True, weight=8),
    Target("verified model", "model.safetensors", damage, ("info", "--verify", "model.safetensors"), strict=True),
    Target("hostile model, info", "model.safetensors", hostile_tensors, ("info", "model.safetensors"), weight=6),
    Target("hostile model, translate", "model.safetensors", hostile_tensors, _translate(), weight=6),
    Target(
        "hostile model, evaluate",
        "model.safetensors",
        hostile_tensors,
        ("evaluate", *MODEL, "--tests", "model.safetensors", "-o", "evaluated"),
        weight=3,
    ),
    Target("damaged checkpoint", "runs/toy/last/*.*", damage, ("info", "--verify", "runs/toy"), strict=True, weight=6),
    Target(
        "damaged checkpoint, average", "runs/toy/last/weights.safetensors", damage, ("average", "runs/toy"), weight=2
    ),
    Target("damaged checkpoint, resume", "runs/toy/last/*.*", damage, (*TRAIN, "--resume"), weight=1),
    Target("hostile checkpoint, resume", "runs/toy/last/state.json", json_nodes, (*TRAIN, "--resume"), weight=1),
    Target(
        "hostile checkpoint part, resume",
        "runs/toy/last/*.safetensors",
        hostile_tensors,
        (*TRAIN, "--resume"),
        weight=1,
    ),
    Target("damaged store", "preprocessed/*/*.*", damage, ("info", "--verify", "preprocessed"), strict=True, weight=2),
    Target("damaged store, train", "preprocessed/*/*.*", damage, (*TRAIN, "--overwrite"), weight=1),
)
CONFIGURATIONS = (
    Target("config check", "toy.yaml", yaml_nodes, ("config", "check", "toy.yaml"), weight=8),
    Target("config show", "toy.yaml", yaml_nodes, ("config", "show", "toy.yaml")),
    Target("base", "base.yaml", yaml_nodes, ("config", "check", "child.yaml"), weight=2),
    Target("sweep", "sweep.yaml", yaml_nodes, ("sweep", "sweep.yaml", "--only", "none-of-them"), weight=2),
    Target("preprocess", "toy.yaml", yaml_nodes, ("preprocess", "toy.yaml"), weight=1),
    Target("resumed configuration", "runs/toy/config.yaml", yaml_nodes, (*TRAIN, "--resume"), weight=1),
)
SIDE_FILES = (
    Target("text", "few.en", lines, _translate(), one_line_each="out.de"),
    Target("text, jsonl", "few.en", lines, _translate("--format", "jsonl"), one_line_each="out.de"),
    Target("text, protect", "few.en", lines, _translate("--protect", "--split-sentences"), one_line_each="out.de"),
    Target("text in gzip", "few.en.gz", in_gzip(lines), ("translate", "few.en.gz", *MODEL, "-o", "out.de")),
    Target("terminology", "terms.tsv", lines, _translate("--terminology", "terms.tsv")),
    Target("avoid", "avoid.txt", lines, _translate("--avoid", "avoid.txt")),
    Target("prefixes", "prefixes.txt", lines, _translate("--prefixes", "prefixes.txt")),
    Target("required", "required.txt", lines, _translate("--required", "required.txt")),
    Target("resumed output", "half.jsonl", lines, _translate("--format", "jsonl", "--resume", output="half.jsonl")),
    Target("resumed n-best list", "half.tsv", lines, _translate("--format", "tsv", "--resume", output="half.tsv")),
    Target("candidates", "nbest.jsonl", json_lines, ("rerank", "nbest.jsonl", *MODEL[:2], "--weights", "weights.json")),
    Target("weights", "weights.json", json_nodes, ("rerank", "nbest.jsonl", *MODEL[:2], "--weights", "weights.json")),
    Target("scored jsonl", "nbest.jsonl", json_lines, ("score", "nbest.jsonl", *MODEL[:2])),
    Target("scored tsv", "pairs.tsv", lines, ("score", "pairs.tsv", *MODEL[:2]), weight=2),
    Target("scored n-best list", "nbest.tsv", lines, ("score", "few.en", "nbest.tsv", "--input", "tsv", *MODEL[:2])),
    Target(
        "scored Moses list", "nbest.moses", lines, ("score", "few.en", "nbest.moses", "--input", "moses", *MODEL[:2])
    ),
    Target("metrics", "runs/toy/metrics.jsonl", json_lines, ("plot", "runs/toy", "-o", "curves.svg"), weight=1),
    Target("hypotheses", "few.de", lines, ("evaluate", "--hypothesis", "few.de", "--reference", "other.de"), weight=2),
    Target(
        "compared texts",
        "few.de",
        lines,
        ("compare", "few.de", "other.de", "--source", "few.en", "--reference", "other.de", "--trials", "20"),
        weight=1,
    ),
    Target(
        "gold links", "gold.txt", lines, ("attention", "few.en", *MODEL[:2], "--target", "few.de", "--gold", "gold.txt")
    ),
    Target("PO", "messages.po", lines, _document("messages.po", "messages.de.po")),
    Target("SRT", "film.srt", lines, _document("film.srt", "film.de.srt")),
    Target("XLIFF", "text.xlf", tags, _document("text.xlf", "text.de.xlf")),
    Target("TMX", "memory.tmx", tags, _document("memory.tmx", "memory.de.tmx")),
    *(
        Target(f"corpus {kind}", file, mutate, ("preprocess", f"{kind}.yaml"), weight=weight)
        for kind, file, mutate, weight in (
            ("csv", "corpus.csv", lines, 3),
            ("jsonl", "corpus.jsonl", json_lines, 3),
            ("tmx", "corpus.tmx", tags, 2),
            ("xliff", "corpus.xlf", tags, 2),
            ("opus", "corpus.zip", in_zip, 3),
            ("gz", "corpus.en.gz", in_gzip(lines), 3),
            ("lines", "train.en", lines, 2),
            ("links", "train.align", lines, 2),
        )
    ),
    Target(
        "config init",
        "train.en",
        lines,
        ("config", "init", "--source", "train.en", "--target", "train.de", "-o", "new.yaml"),
        weight=2,
    ),
)
PARTS = {"files": MODELS, "configurations": CONFIGURATIONS, "inputs": SIDE_FILES}


def make_folder(folder: Path, scratch: Path) -> None:
    """Make a folder with one whole file for each target.

    Raises:
        TemplateError: A command failed.
    """
    folder.mkdir(parents=True)
    write_experiment(folder)
    _write_texts(folder)
    _write_corpora(folder)
    commands: list[tuple[str, ...]] = [
        TRAIN,
        ("preprocess", "toy.yaml", "data.preprocessed_folder=kept"),
        *(
            ("translate", "few.en", "-m", "runs/toy", "--n-best", "2", "--format", format, "-o", f"nbest.{format}")
            for format in ("jsonl", "tsv", "moses")
        ),
        (
            "rerank",
            "nbest.jsonl",
            "-m",
            "runs/toy",
            "--reference",
            "few.de",
            "--weights",
            "weights.json",
        ),
    ]
    for command in commands:
        ended = run(command, folder, scratch=scratch, learn=True)
        if ended.code != 0:
            raise TemplateError(f"nmt {' '.join(command)} failed:\n{ended.errors}")
    shutil.copy2(folder / "runs" / "toy" / "best.safetensors", folder / "model.safetensors")
    for suffix in ("jsonl", "tsv"):
        every = (folder / f"nbest.{suffix}").read_bytes()
        (folder / f"half.{suffix}").write_bytes(every[: len(every) // 2])


def _write_texts(folder: Path) -> None:
    pairs = toy_pairs(LINES, seed=3)
    sides = {"few.en": [pair[0] for pair in pairs], "few.de": [pair[1] for pair in pairs]}
    sides["few.en"][4] = ""
    sides["other.de"] = [pair[1] for pair in toy_pairs(LINES, seed=4)]
    sides["prefixes.txt"] = ["heute" if number % 3 == 0 else "" for number in range(LINES)]
    sides["required.txt"] = ["Hund\tKatze" if number % 4 == 0 else "" for number in range(LINES)]
    sides["terms.tsv"] = ["dog\tHund", "the cat\tKatze", "bird\tVogel"]
    sides["avoid.txt"] = ["Baum", "Haus und"]
    sides["pairs.tsv"] = ["\t".join(pair) for pair in pairs]
    sides["gold.txt"] = ["0-0 1-2 2-1" for _ in pairs]
    for name, texts in sides.items():
        (folder / name).write_text("".join(text + "\n" for text in texts), "utf-8")
    (folder / "few.en.gz").write_bytes(gzip.compress((folder / "few.en").read_bytes(), mtime=0))
    for name, content in documents(sides["few.en"]).items():
        (folder / name).write_text(content, "utf-8")


def _write_corpora(folder: Path) -> None:
    pairs = toy_pairs(40, seed=1)
    source, target = ("".join(pair[side] + "\n" for pair in pairs) for side in (0, 1))
    texts = {
        "corpus.csv": "en,de\n" + "".join(f'"{a}",{b}\n' for a, b in pairs),
        "corpus.jsonl": "".join(json.dumps({"en": a, "de": b}) + "\n" for a, b in pairs),
        "corpus.tmx": '<?xml version="1.0"?>\n<tmx version="1.4"><header srclang="en"/><body>\n'
        + "".join(
            f'<tu><tuv xml:lang="en"><seg>{a}</seg></tuv><tuv xml:lang="de"><seg>{b}</seg></tuv></tu>\n'
            for a, b in pairs
        )
        + "</body></tmx>\n",
        "corpus.xlf": '<?xml version="1.0"?>\n<xliff version="1.2">'
        '<file source-language="en" target-language="de"><body>\n'
        + "".join(
            f'<trans-unit id="{number}"><source>{a}</source><target>{b}</target></trans-unit>\n'
            for number, (a, b) in enumerate(pairs)
        )
        + "</body></file></xliff>\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("corpus.de-en.en", source)
        archive.writestr("corpus.de-en.de", target)
    (folder / "corpus.zip").write_bytes(stream.getvalue())
    (folder / "corpus.en.gz").write_bytes(gzip.compress(source.encode(), mtime=0))
    (folder / "corpus.de").write_text(target, "utf-8")
    (folder / "train.align").write_text("0-0 1-1\n" * len((folder / "train.en").read_text().splitlines()), "utf-8")
    fields = {"source_field": "en", "target_field": "de"}
    entries = {
        "csv": {"csv": "corpus.csv", **fields},
        "jsonl": {"jsonl": "corpus.jsonl", **fields},
        "tmx": {"tmx": "corpus.tmx", **fields},
        "xliff": {"xliff": "corpus.xlf"},
        "opus": {"opus": "corpus.zip", **fields},
        "gz": {"source": "corpus.en.gz", "target": "corpus.de"},
        "lines": {"source": "train.en", "target": "train.de"},
        "links": {"source": "train.en", "target": "train.de", "alignment": "train.align"},
    }
    base = yaml.safe_load((folder / "toy.yaml").read_text("utf-8"))
    for name, entry in entries.items():
        config = {**base, "data": {**base["data"], "train": [entry]}}
        if name == "links":
            config["training"] = {**config["training"], "guided_alignment": {"weight": 0.1}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config), "utf-8")
    (folder / "base.yaml").write_text((folder / "toy.yaml").read_text("utf-8"), "utf-8")
    (folder / "child.yaml").write_text("base: base.yaml\nseed: 7\n", "utf-8")
    sweep = {"base": "toy.yaml", "seeds": 1, "variants": [{"name": "a", "options": ["seed=3"]}, {"name": "b"}]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep), "utf-8")

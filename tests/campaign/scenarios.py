"""The commands that are killed, the folders in which they start, and the commands that continue them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from campaign.forks import Ended, run
from toy_experiments import TOY_CONFIG, toy_pairs

TRAIN_PAIRS, HELD_OUT, LINES = 48, 8, 96
OVERRIDES = (
    "training.batch_tokens=128",
    "training.max_epochs=3",
    "training.checkpoint_every_updates=3",
    "training.keep_checkpoints=2",
)
TRAIN = ("train", "toy.yaml", *OVERRIDES)
SWEEP = """\
name: two
base: toy.yaml
seeds: 1
baseline: null
variants:
  - {name: usual, options: [training.max_epochs=1]}
  - {name: small, options: [training.max_epochs=1, model.embedding_size=8]}
"""


@dataclass(frozen=True)
class Scenario:
    """A command, what comes before it, and what follows after a kill.

    Attributes:
        command: The arguments of the command that is killed.
        prepare: The commands that make its folder, in order.
        resume: Additional arguments with which an interrupted command is resumed. None: it is repeated.
        restart: Additional arguments with which a command is repeated that `resume` cannot continue, because the
            process was killed before there was anything to resume.
        growing: Names of files that grow line by line.
        before: Called in the process before the command, to make rare moments frequent.
        processes: Whether the command starts processes.
    """

    name: str
    command: Sequence[str]
    prepare: Sequence[Sequence[str]] = ()
    resume: Sequence[str] | None = None
    restart: Sequence[str] = ()
    growing: Sequence[str] = ()
    before: Callable[[], object] = lambda: None
    processes: bool = False
    files: Mapping[str, str] = field(default_factory=dict)


def write_experiment(folder: Path) -> None:
    """Write the corpora, the configuration and the texts that the scenarios use."""
    every = toy_pairs(TRAIN_PAIRS + 2 * HELD_OUT, seed=1)
    held_out = 2 * HELD_OUT
    parts = {"valid": every[:HELD_OUT], "test": every[HELD_OUT:held_out], "train": every[held_out:]}
    for name, pairs in parts.items():
        for side, language in enumerate(("en", "de")):
            (folder / f"{name}.{language}").write_text("".join(pair[side] + "\n" for pair in pairs), "utf-8")
    (folder / "toy.yaml").write_text(TOY_CONFIG, "utf-8")
    (folder / "sweep.yaml").write_text(SWEEP, "utf-8")
    lines = [pair[0] for pair in toy_pairs(LINES, seed=2)]
    lines[5] = ""
    (folder / "lines.en").write_text("".join(line + "\n" for line in lines), "utf-8")
    for name, content in documents(lines[:20]).items():
        (folder / name).write_text(content, "utf-8")


def documents(lines: Sequence[str]) -> dict[str, str]:
    """Return a document of each kind with these lines."""
    units = "".join(
        f'<trans-unit id="{number}"><source>{line}</source></trans-unit>\n' for number, line in enumerate(lines)
    )
    pairs = "".join(f'<tu><tuv xml:lang="en"><seg>{line}</seg></tuv></tu>\n' for line in lines if line)
    return {
        "messages.po": 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        + "".join(f'msgid "{line}"\nmsgstr ""\n\n' for line in dict.fromkeys(filter(None, lines))),
        "film.srt": "".join(
            f"{number}\n00:00:{number:02d},000 --> 00:00:{number:02d},900\n{line or '-'}\n\n"
            for number, line in enumerate(lines, 1)
        ),
        "text.xlf": '<?xml version="1.0"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        f'<file source-language="en" target-language="de" original="a" datatype="plaintext"><body>\n{units}'
        "</body></file></xliff>\n",
        "memory.tmx": '<?xml version="1.0"?>\n<tmx version="1.4"><header srclang="en" datatype="plaintext" '
        'segtype="sentence" adminlang="en" creationtool="a" creationtoolversion="1" o-tmf="a"/><body>\n'
        f"{pairs}</body></tmx>\n",
    }


def small_windows() -> None:
    """Write each line of output at once, and send few lines to each process, which is a fork."""
    import multiprocessing

    from nmt.inference.output import worker_pool, writer
    from nmt.inference.streaming import WindowSize

    writer.FLUSH_SECONDS = 0.0
    worker_pool.WINDOW = WindowSize(lines=8, characters=worker_pool.WINDOW.characters)
    context = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda kind=None: context  # type: ignore[assignment]


def _translate(name: str, output: str, *options: str, processes: bool = False) -> Scenario:
    command = ("translate", "lines.en", "-m", "parent.safetensors", "--batch-size", "8", "--resume", "-o", output)
    return Scenario(
        f"translate {name}",
        (*command, *options),
        prepare=(PARENT,),
        growing=(output,),
        before=small_windows,
        processes=processes,
    )


def _document(file: str, output: str) -> Scenario:
    command = ("translate", file, "-m", "parent.safetensors", "-o", output, "--overwrite")
    return Scenario(f"translate {file}", command, prepare=(PARENT,))


PARENT = ("train", "toy.yaml", "name=parent", "training.max_epochs=1", *OVERRIDES[:1])
"""Trains the model that other commands use; see `make_template`."""
RESUME = {"resume": ("--resume",), "restart": ("--overwrite",)}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("preprocess", ("preprocess", "toy.yaml")),
        Scenario("train", TRAIN, **RESUME),
        Scenario(
            "train sampling",
            (
                *TRAIN,
                "tokenizer.kind=unigram",
                "tokenizer.sampling=0.2",
                "training.accumulate=2",
                "training.keep_best=2",
                "training.validation.every_updates=2",
                "--auto-resume",
            ),
        ),
        Scenario(
            "train restart",
            (
                *TRAIN,
                "training.schedule.kind=plateau",
                "training.schedule.restart=true",
                "training.schedule.patience=0",
                "training.optimizer.learning_rate=0.5",
                "training.validation.every_updates=2",
                "training.averaging.kind=none",
            ),
            **RESUME,
        ),
        Scenario(
            "train init-from",
            (*TRAIN, "training.parent_l2=0.01", "--init-from", "parent.safetensors"),
            prepare=(PARENT,),
            resume=("--resume",),
            restart=("--overwrite",),
        ),
        Scenario("resume", (*TRAIN, "--resume"), prepare=((*TRAIN, "training.max_epochs=1"),)),
        Scenario(
            "average",
            ("average", "runs/toy", "--last", "2", "--beam-size", "1", "--overwrite"),
            prepare=(TRAIN,),
        ),
        Scenario("tune", ("tune", "runs/toy", "--try", "alpha=0,1"), prepare=(TRAIN,)),
        Scenario("shortlist", ("shortlist", "runs/toy", "--translations", "7"), prepare=(TRAIN,)),
        Scenario(
            "distill",
            (
                *("distill", "toy.yaml", "--teacher", "parent.safetensors", "--drop", "nothing"),
                *(*OVERRIDES[:1], "training.max_epochs=1"),
            ),
            prepare=(PARENT,),
            growing=("data/toy-distilled/translations.jsonl",),
            before=small_windows,
        ),
        Scenario(
            "back-translate",
            (
                *("back-translate", "toy.yaml", "--self-training", "--model", "parent.safetensors"),
                *("--monolingual", "lines.en", "--drop", "empty", *OVERRIDES[:1], "training.max_epochs=1"),
            ),
            prepare=(PARENT,),
            growing=("data/toy-self-trained/translations.jsonl",),
            before=small_windows,
        ),
        Scenario("sweep", ("sweep", "sweep.yaml")),
        _translate("text", "out.de"),
        _translate("jsonl", "out.jsonl", "--format", "jsonl", "--n-best", "2", "--alignment", "soft"),
        _translate("tsv", "out.tsv", "--format", "tsv", "--n-best", "2"),
        _translate("moses", "out.moses", "--format", "moses", "--n-best", "2", "--alignment", "hard"),
        _translate("gz", "out.de.gz"),
        _translate("zst", "out.jsonl.zst", "--format", "jsonl"),
        _translate("processes", "out.de", "--processes", "2", processes=True),
        _translate("processes jsonl", "out.jsonl", "--format", "jsonl", "--processes", "2", processes=True),
        _document("messages.po", "messages.de.po"),
        _document("film.srt", "film.de.srt"),
        _document("text.xlf", "text.de.xlf"),
        _document("memory.tmx", "memory.de.tmx"),
        Scenario(
            "evaluate",
            (
                *("evaluate", "-m", "parent.safetensors", "--source", "test.en", "--reference", "test.de"),
                *("-o", "evaluated", "--beam-size", "1", "--overwrite"),
            ),
            prepare=(PARENT,),
        ),
    )
}


class TemplateError(Exception):
    """A folder in which a command starts could not be made."""


def make_template(scenario: Scenario, folder: Path, cache: Path, scratch: Path) -> None:
    """Make the folder in which the command of a scenario starts.

    Args:
        scenario: The scenario.
        folder: The folder to make.
        cache: Folder of the folders that were made for other scenarios.
        scratch: See `forks.run`.
    """
    done = cache / hashlib.sha256(json.dumps(scenario.prepare).encode()).hexdigest()[:16]
    if not done.exists():
        work = cache / "building"
        work.mkdir(parents=True)
        write_experiment(work)
        for command in scenario.prepare:
            ended = run(command, work, scratch=scratch, learn=True)
            if ended.code != 0:
                raise TemplateError(f"nmt {' '.join(command)} failed:\n{ended.errors}")
        if PARENT in scenario.prepare:
            shutil.copy2(work / "runs" / "parent" / "best.safetensors", work / "parent.safetensors")
            shutil.rmtree(work / "runs")
            shutil.rmtree(work / "preprocessed")
        work.rename(done)
    copy_folder(done, folder)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with its links and times."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run has a whole checkpoint under any name, which a command must not lose."""
    return any(
        all((path.parent / part).exists() for part in ("weights.safetensors", "optimizer.safetensors"))
        for path in folder.glob("runs/*/checkpoints/*/state.json")
        if path.stat().st_size
    )


def next_command(scenario: Scenario, previous: tuple[str, ...], ended: Ended) -> tuple[str, ...]:
    """Return the command that continues an interrupted one: a command that cannot be resumed is started again.

    Args:
        scenario: The scenario.
        previous: The last command.
        ended: How it ended.
    """
    command = tuple(scenario.command)
    if scenario.resume is None:
        return command
    resume = tuple(scenario.resume)
    if not ended.killed and ended.code < STOPPED_BY_SIGNAL and previous[-len(resume) :] == resume:
        return (*command, *scenario.restart)
    if "--init-from" in command:
        index = command.index("--init-from")
        command = command[:index] + command[index + 2 :]
    return (*command, *resume)


STOPPED_BY_SIGNAL = 128
"""Exit codes from here are those of commands that were stopped by a signal and have saved their work."""

"""What is measured of a finished run."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nmt.config import Config
from nmt.data.corpus import read_parallel
from nmt.data.lines import write_lines
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.metrics.corpus import score
from papers.runs import Plan


@dataclass(frozen=True)
class Row:
    """One line of the table. BLEU is None over no sentences."""

    preset: str
    parameters: int
    tokens_per_second: float
    """Target pieces in a second of training, the median of the log's lines."""
    minutes: float
    """Of training, validations included."""
    validation: float
    """BLEU of the best validation, with the beam of validations."""
    test: float | None
    short: float | None
    long: float | None
    sentences: tuple[int, int, int]
    """Of the test set: all, short, long."""


def result_of(plan: Plan, *, short: int, long: int) -> Row:
    """The row of a finished run; what was measured before is read, not measured again."""
    kept: dict[str, Any] = json.loads(plan.result.read_text(encoding="utf-8")) if plan.result.exists() else {}
    wanted = {"fingerprint": plan.fingerprint, "short": short, "long": long}
    if {key: kept.get(key) for key in wanted} != wanted:
        kept = {**wanted, "row": asdict(_measure(plan, short=short, long=long))}
        temporary = plan.result.with_suffix(".tmp")
        temporary.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, plan.result)
    return Row(**{**kept["row"], "sentences": tuple(kept["row"]["sentences"])})


def _measure(plan: Plan, *, short: int, long: int) -> Row:
    logger.info("%s: translating the test set", plan.run.path)
    records = [json.loads(line) for line in plan.run.metrics.read_text(encoding="utf-8").splitlines()]
    speeds = [record["target_tokens_per_second"] for record in records if record["kind"] == "train"]
    state = json.loads((plan.run.last / "state.json").read_text(encoding="utf-8"))
    model = load_model(plan.run.best)
    pairs = read_parallel(plan.config.data.test[0])
    translator = Translator.from_models([model], decoding={"threads": plan.config.training.threads})
    hypotheses = [translation.text for translation in translator.translate(source for source, _ in pairs)]
    write_lines(plan.run.translations / f"test.{plan.config.data.target_language}", hypotheses)
    lengths = [len(source.split()) for source, _ in pairs]
    groups = [
        range(len(pairs)),
        [index for index, length in enumerate(lengths) if length <= short],
        [index for index, length in enumerate(lengths) if length > long],
    ]
    every, few, many = (_bleu(plan.config, hypotheses, pairs, group) for group in groups)
    return Row(
        preset=plan.preset,
        parameters=sum(weights.numel() for weights in model.weights.values()),
        tokens_per_second=statistics.median(speeds) if speeds else float("nan"),
        minutes=state["train_state"]["seconds"] / 60,
        validation=max(record["bleu"] for record in records if record["kind"] == "valid"),
        test=every,
        short=few,
        long=many,
        sentences=(len(groups[0]), len(groups[1]), len(groups[2])),
    )


def _bleu(
    config: Config, hypotheses: Sequence[str], pairs: Sequence[tuple[str, str]], group: Sequence[int]
) -> float | None:
    """BLEU of some sentences of the test set, as of a test set of its own."""
    if not group:
        return None
    found = score(
        [hypotheses[index] for index in group],
        [pairs[index][1] for index in group],
        metrics=["bleu"],
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    return found["bleu"].value

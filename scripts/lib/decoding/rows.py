"""The rows of the table: ways to translate, and what is chosen on the validation set for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from decoding.bench import Method
from decoding.models import Models
from nmt.config.decoding_overrides import override_decoding
from nmt.evaluation.tuning import PLAN, SearchSpace

AVERAGE_ALPHAS = SearchSpace("alpha", [0.2, 0.4, 0.6, 0.8, 1.2, 1.5, 2.0])
GNMT_ALPHAS = SearchSpace("alpha", [0.2, 0.4, 0.8, 1.0, 1.2, 1.5])
COVERAGE = SearchSpace("coverage_penalty", [0.05, 0.1, 0.2, 0.4])
TEMPERATURES = SearchSpace("temperature", [0.3, 0.5, 0.7])
AVERAGES = SearchSpace("ensemble_average", ["probabilities", "log_probabilities"])
NORMALIZATION, ALPHA = PLAN[0], PLAN[1]
SAMPLES = 32
"""Of each sentence, for a choice among samples."""


@dataclass(frozen=True, eq=False)
class Row:
    """A way to translate."""

    name: str
    title: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """In place of the plain ones."""
    plan: tuple[SearchSpace, ...] = ()
    """What is tuned, one option after another."""
    ensemble: bool = False
    mbr: str | None = None
    reranked: bool = False

    def start(self, models: Models) -> Method:
        """Return how to translate before anything is tuned."""
        decoding = override_decoding(models.plain, self.options)
        return Method(decoding, self.ensemble, self.mbr, judged=self.reranked)

    def missing(self, models: Models) -> str | None:
        """Return what this row needs and the models do not have; None: nothing."""
        if self.ensemble and len(models.members) < 2:
            return "several --models"
        if self.reranked and not models.judges:
            return "--right-to-left or --reverse"
        members = models.translating(ensemble=self.ensemble)
        if self.options.get("shortlist") and all(member.shortlist is None for member in members):
            return "a model with a shortlist table (`nmt shortlist MODEL` adds one)"
        if COVERAGE in self.plan and models.first.config.model.attention.score == "none":
            return "a model with attention"
        return None


BEAM_5, BEAM_12 = {"beam_size": 5}, {"beam_size": 12}
SAMPLED = {"sampling": True, "n_best": SAMPLES}
BASELINE = "beam-5"

ROWS = (
    Row("greedy", "greedy", {"beam_size": 1}),
    Row(BASELINE, "beam 5", BEAM_5),
    Row("beam-12", "beam 12", BEAM_12),
    Row("none", "beam 5, no length normalisation", {**BEAM_5, "length_normalization": "none"}),
    Row("average", "beam 5, average", {**BEAM_5, "length_normalization": "average"}, (AVERAGE_ALPHAS,)),
    Row("gnmt", "beam 5, gnmt", {**BEAM_5, "length_normalization": "gnmt"}, (GNMT_ALPHAS,)),
    Row("coverage", "beam 5, normalisation and coverage penalty", BEAM_5, (NORMALIZATION, ALPHA, COVERAGE)),
    Row("tune", "what `nmt tune` finds", BEAM_5, PLAN),
    Row("mbr-beam-chrf", "MBR of a beam of 12, chrF", BEAM_12, mbr="chrf"),
    Row("mbr-beam-bleu", "MBR of a beam of 12, BLEU", BEAM_12, mbr="bleu"),
    Row("mbr-samples-chrf", f"MBR of {SAMPLES} samples, chrF", SAMPLED, (TEMPERATURES,), mbr="chrf"),
    Row("mbr-samples-bleu", f"MBR of {SAMPLES} samples, BLEU", SAMPLED, (TEMPERATURES,), mbr="bleu"),
    Row("int8", "beam 5, int8", {**BEAM_5, "precision": "int8"}),
    Row("shortlist", "beam 5, shortlist", {**BEAM_5, "shortlist": True}),
    Row("shortlist-int8", "beam 5, shortlist, int8", {**BEAM_5, "shortlist": True, "precision": "int8"}),
    Row("greedy-shortlist-int8", "greedy, shortlist, int8", {"beam_size": 1, "shortlist": True, "precision": "int8"}),
    Row("rerank", "beam 12, reranked", {**BEAM_12, "n_best": 12}, reranked=True),
    Row("ensemble", "ensemble of probabilities, beam 5", BEAM_5, ensemble=True),
    Row(
        "ensemble-log",
        "ensemble of log-probabilities, beam 5",
        {**BEAM_5, "ensemble_average": "log_probabilities"},
        ensemble=True,
    ),
    Row("ensemble-tuned", "ensemble, beam 5, tuned", BEAM_5, (AVERAGES, NORMALIZATION, ALPHA), ensemble=True),
    Row("ensemble-mbr-chrf", "ensemble, MBR of a beam of 12, chrF", BEAM_12, ensemble=True, mbr="chrf"),
    Row(
        "ensemble-shortlist-int8",
        "ensemble, beam 5, shortlist, int8",
        {**BEAM_5, "shortlist": True, "precision": "int8"},
        ensemble=True,
    ),
    Row("ensemble-rerank", "ensemble, beam 12, reranked", {**BEAM_12, "n_best": 12}, ensemble=True, reranked=True),
)
NAMES = tuple(row.name for row in ROWS)

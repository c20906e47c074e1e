"""`scripts/attention_scores`: the score functions side by side, learning alone and from given alignments."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

from experiments.alignment_error import as_dict, percentages
from experiments.alignments import AlignedText, measure_alignment, read_aligned
from experiments.commands import count, names, run_command
from experiments.markdown import number, table
from experiments.runs import Job, Measured, finished, run_jobs, write_bytes, write_json
from nmt.config import Config, load_config
from nmt.config.schema import AttentionConfig
from nmt.data.corpus import paths
from nmt.errors import UsageError
from nmt.evaluation.evaluate import evaluate_tests
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from nmt.log import logger

ROOT = Path(__file__).resolve().parents[3]
SCORES = tuple(score for score in get_args(AttentionConfig.model_fields["score"].annotation) if score != "none")
GUIDANCE = 0.3
"""Weight of the guided alignment, where there is one."""

ABOUT = """\
How well do the score functions of attention align words? Trains the quickstart's model with each, for equally many
updates, and once more with guided alignment: attention then learns from the gold alignment of the training text too.
Measures the alignment error rate of each on the test set, and its BLEU. Writes scores.md and scores.json into the
folder of --out.
"""
DETAILS = """\
The runs are ordinary ones, runs/scores-SCORE-alone-SEED and runs/scores-SCORE-guided-SEED. Ctrl-C saves and stops; the
same command goes on where it was, and skips what is finished. Paths are relative to the toolkit's folder.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/attention_scores",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="options for all runs")
    parser.add_argument("--updates", type=count, default=1360, metavar="N", help="updates of each run (%(default)s)")
    parser.add_argument("--seeds", type=count, default=1, metavar="N", help="runs of each kind (1)")
    parser.add_argument(
        "--only", type=names(SCORES), default=SCORES, metavar="NAMES", help=f"of {','.join(SCORES)} (all)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/attention-scores"), metavar="FOLDER", help="%(default)s")
    parser.add_argument("--overwrite", action="store_true", help="do again what is finished")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Do the experiment.

    Raises:
        NMTError: Something that the user can mend.
    """
    jobs = make_jobs(options)
    text = _test_text(jobs[0].config)
    options.out.mkdir(parents=True, exist_ok=True)

    def report() -> None:
        _write_report(list(finished(jobs, options.out)), text, options.out, updates=options.updates)

    run_jobs(
        [job for job in jobs if job.labels["score"] in options.only],
        out=options.out,
        measure=partial(_measure, text=text),
        report=report,
        overwrite=options.overwrite,
    )
    print((options.out / "scores.md").read_text("utf-8"))


def make_jobs(options: argparse.Namespace) -> list[Job]:
    """Return the runs of all scores, alone and guided, seed by seed."""
    return [
        Job(_configure(options, score, guided, seed), {"score": score, "guided": guided, "seed": seed})
        for seed, score, guided in product(range(1, options.seeds + 1), SCORES, (False, True))
    ]


def _configure(options: argparse.Namespace, score: str, guided: bool, seed: int) -> Config:
    """Return the configuration of a run. All of them name the alignment, so that all prepare the same text."""
    file = ROOT / "configs" / "quickstart.yaml"
    base = load_config(file, options.overrides)
    source = base.data.train[0].source
    if source is None:
        raise UsageError("data.train.0 must be two files, with a file of links beside the source that ends in .align")
    return load_config(
        file,
        [
            *options.overrides,
            f"name=scores-{score}-{'guided' if guided else 'alone'}-{seed}",
            f"seed={seed}",
            f"data.train.0.alignment={Path(source).with_suffix('.align')}",
            f"model.attention.score={score}",
            f"training.guided_alignment.weight={GUIDANCE if guided else 0}",
            f"training.max_updates={options.updates}",
            f"training.max_epochs={options.updates}",  # the updates are the limit
        ],
    )


def _test_text(config: Config) -> AlignedText:
    source, target = map(Path, paths(config.data.test[0]))
    return read_aligned(source, target, source.with_suffix(".align"))


def _measure(config: Config, folder: Path, *, text: AlignedText) -> Measured:
    file = load_model(find_model(folder))
    decoding = {"threads": config.training.threads}
    score = measure_alignment(file, text, decoding=decoding)
    results = evaluate_tests(
        Translator.from_models([file], decoding=decoding),
        config.data.test[:1],
        options=config.evaluation.model_copy(update={"metrics": ["bleu"]}),
        target_language=config.data.target_language,
        output_folder=None,
        overwrite=False,
    )
    return {
        "parameters": sum(weight.numel() for weight in file.weights.values()),
        "bleu": next(results).scores["bleu"].value,
        **as_dict(score),
    }


def _write_report(results: Sequence[Measured], text: AlignedText, out: Path, *, updates: int) -> None:
    bound = as_dict(text.bound())
    content = {"updates": updates, "guidance": GUIDANCE, "best_with_one_link": bound, "runs": results}
    write_json(out / "scores.json", content)
    write_bytes(out / "scores.md", _markdown(results, bound, updates).encode())
    logger.info("wrote %s and scores.json", out / "scores.md")


def _markdown(results: Sequence[Measured], bound: dict[str, Any], updates: int) -> str:
    rows = []
    for score, guided in product(SCORES, (False, True)):
        runs = [one for one in results if (one["score"], one["guided"]) == (score, guided)]
        if runs:
            mean = {name: statistics.mean(one[name] for one in runs) for name in ("aer", "precision", "recall", "bleu")}
            shown = [*percentages(mean), number(mean["bleu"], 1), f"{runs[0]['parameters']:,}", str(len(runs))]
            rows.append([score, "yes" if guided else "no", *shown])
    rows.append(["best with one link a word", "", *percentages(bound), "", "", ""])
    columns = ["score", "guided alignment", "AER %", "precision %", "recall %", "BLEU", "parameters", "seeds"]
    about = f"{updates:,} updates each; guided alignment with a weight of {GUIDANCE:g}; means over seeds.\n\n"
    return about + table(columns, rows, texts=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())

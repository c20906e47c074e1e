"""The memory of a long training does not grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_tools import ROOT, environment
from toy_experiments import write_toy_experiment
from toy_runs import run

LOOKS = (1_000, 5_000, 10_000)
"""Updates after which the memory is measured."""
TRAIN = f"""
from toy_runs import run
from nmt.training.learner import Learner
update = Learner.launch

def measured(self, group, number):
    stats = update(self, group, number)
    if number in {LOOKS}:
        with open("/proc/self/status") as status:
            (size,) = [line.split()[1] for line in status if line.startswith("VmRSS")]
        print("kilobytes", number, size, flush=True)
    return stats

Learner.launch = measured
run(
    "training.max_updates={LOOKS[-1]}", "training.max_epochs=100000", "training.validation.every_updates=100",
    "training.validation.max_sentences=3", "training.validation.patience=null", "training.log_every=10",
    "training.checkpoint_every_updates=50", "training.accumulate=1", "tokenizer.sampling=0.1",
    "training.optimizer.learning_rate=0.0005",
)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs the status of a process of Linux")
def test_memory_is_flat_over_ten_thousand_updates(tmp_path: Path) -> None:
    """With subword sampling, 100 validations and 200 checkpoints. The first updates fill caches of limited size."""
    write_toy_experiment(tmp_path, pairs=60)
    variables = environment({"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), str(ROOT)])})
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sizes = [int(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("kilobytes")]
    print(dict(zip(LOOKS, sizes, strict=True)))
    assert sizes[2] <= 1.02 * sizes[1]


def test_validations_leave_nothing_in_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=60)
    run("training.max_updates=2", "training.validation.every_updates=1")
    for kind in (Tokenizer13a, TokenizerRegexp):
        assert kind.__call__.cache_info().currsize == 0
        assert kind.__call__.cache_info().misses == 0

"""The campaign `distributed` sends its signals in the phases that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign.distributed import PHASES, REACHED, disturbed
from toy_experiments import write_toy_experiment


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_comes(phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=30)
    disturbed("training.max_updates=1", phase=phase, update=1)
    assert REACHED.exists()

"""The campaign `bulk` can be stopped and resumed, and compares what all ways write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaign.bulk import FILES, Bulk, Way, contents

ALONE = "one process"


def bulk(folder: Path, *, minutes: float = 10.0, seed: int = 1) -> Bulk:
    given: dict[str, Any] = {"model": None, "text": None, "beam": 1, "show": lambda text: None}
    return Bulk(folder, lines=100, seed=seed, minutes=minutes, **given)


def test_a_campaign_that_was_stopped_is_resumed(tmp_path: Path) -> None:
    assert bulk(tmp_path, minutes=0).campaign([ALONE]) == [f"{ALONE}: not ended"]
    assert bulk(tmp_path).campaign([ALONE]) == []
    written = contents(tmp_path / "alone")
    assert len(written) == FILES
    for path in (tmp_path / "alone").rglob("*.en"):
        path.unlink()
    assert bulk(tmp_path).campaign([ALONE]) == []
    assert contents(tmp_path / "alone") == {}  # what has ended is not repeated
    with pytest.raises(SystemExit, match="another campaign"):
        bulk(tmp_path, seed=2)


def test_other_bytes_and_missing_lines_are_found(tmp_path: Path) -> None:
    campaign = bulk(tmp_path)
    campaign._expected = contents(tmp_path / "in")
    way = Way()
    campaign._compare(way, tmp_path / "in")
    assert way == Way(ended=True)
    changed = tmp_path / "in" / "01.en"
    changed.write_bytes(b"x" + changed.read_bytes())
    campaign._compare(way, tmp_path / "in")
    changed.unlink()
    campaign._compare(way, tmp_path / "in")
    assert way.problems == ["other bytes in 1 files, first 01.en"] * 2 + ["lines are missing"]

"""The arguments of `python -m tests.campaign`."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


def main(arguments: list[str] | None = None) -> int:
    """Run a part of the campaign, and return 1 if it found a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("part", choices=("kills",))
    parser.add_argument("--count", type=int, default=100, help="Number of random trials. Default: 100.")
    parser.add_argument("--targeted", type=int, default=0, help="Number of targeted kills. Default: 0.")
    parser.add_argument("--start", type=int, default=0, help="Number of the first random trial. Default: 0.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of all random choices. Default: 1.")
    parser.add_argument("--minutes", type=float, default=60.0, help="Longest duration. Default: 60.")
    parser.add_argument("--only", action="append", help="Name of a scenario. Default: all.")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "nmt-campaign")
    options = parser.parse_args(arguments)
    from campaign import forks

    forks.warm()
    work = Path(
        tempfile.mkdtemp(prefix="nmt-campaign-", dir=SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None)
    )
    return _kills(options, work)


def _kills(options: argparse.Namespace, work: Path) -> int:
    from campaign.kills import KillCampaign, campaign

    kills = KillCampaign(work, seed=options.seed, scenarios=options.only)
    try:
        failures = []
        if options.targeted:
            failures += campaign(
                kills, kills.targeted_trials(options.targeted), minutes=options.minutes, keep=options.keep
            )
        if options.count:
            trials = kills.random_trials(options.count, start=options.start)
            failures += campaign(kills, trials, minutes=options.minutes, keep=options.keep)
    finally:
        kills.close()
    return int(bool(failures))

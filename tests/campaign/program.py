"""The arguments of `python -m tests.campaign`.

kills kills commands at random and chosen moments. files damages model files and checkpoints, configurations changes
configurations, inputs changes texts, corpora, archives, documents and side files. faults makes disks full or read-only,
and lets files vanish or change. load uses many threads, processes and lines. short does some of all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
SHORT_KILLS, SHORT_FILES = 3, 12
SHORT_SCENARIOS = ["train", "translate text"]
show = partial(print, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a part of the campaign, and return 1 if it found a fault."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("kills", "files", "configurations", "inputs", "faults", "load", "short"))
    parser.add_argument("--count", type=int, default=100, help="Number of random cases. Default: 100.")
    parser.add_argument("--targeted", type=int, default=0, help="Number of targeted kills. Default: 0.")
    parser.add_argument("--start", type=int, default=0, help="Number of the first random case. Default: 0.")
    parser.add_argument("--lines", type=int, default=200_000, help="Lines through a pipe. Default: 200000.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of all random choices. Default: 1.")
    parser.add_argument("--minutes", type=float, default=60.0, help="Longest duration. Default: 60.")
    parser.add_argument("--only", action="append", help="Name of a scenario or file. Default: all.")
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "nmt-campaign",
        help="Folder for inputs and folders that show a fault. Default: nmt-campaign in the folder of temporary files.",
    )
    options = parser.parse_args(arguments)
    from campaign import forks

    forks.warm()
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    work = Path(tempfile.mkdtemp(prefix="nmt-campaign-", dir=memory))
    try:
        if options.part in ("kills", "faults"):
            return _kills(options, work)
        if options.part == "load":
            return _load(options, work)
        if options.part == "short":
            options.count, options.targeted, options.only = SHORT_KILLS, SHORT_KILLS, SHORT_SCENARIOS
            failed = _kills(options, work)
            options.count, options.only = SHORT_FILES, None
            return max(failed, *(_fuzz(options, work, part) for part in ("files", "configurations", "inputs")))
        return _fuzz(options, work, options.part)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _kills(options: argparse.Namespace, work: Path) -> int:
    from campaign.kills import KillCampaign, campaign

    kills = KillCampaign(work, seed=options.seed, scenarios=options.only)
    run = partial(campaign, kills, minutes=options.minutes, keep=options.keep, show=show)
    failures = run(kills.targeted_trials(options.targeted)) if options.targeted else []
    if options.count:
        trials = kills.fault_trials if options.part == "faults" else kills.random_trials
        failures += run(trials(options.count, start=options.start))
    return int(bool(failures))


def _load(options: argparse.Namespace, work: Path) -> int:
    from campaign.load import campaign

    return int(bool(campaign(work, lines=options.lines, show=show)))


def _fuzz(options: argparse.Namespace, work: Path, part: str) -> int:
    from campaign.fuzz import Fuzzer, campaign
    from campaign.targets import PARTS

    targets = [target for target in PARTS[part] if options.only is None or target.name in options.only]
    fuzzer = Fuzzer(work / part, seed=options.seed, targets=targets, template=work / "template")
    failures = campaign(
        fuzzer, start=options.start, count=options.count, minutes=options.minutes, keep=options.keep, show=show
    )
    return int(bool(failures))

"""The arguments of `python -m tests.campaign`.

kills            kill commands at random moments, and with --targeted before operations on files
faults           make disks full or read-only, and let files vanish or change
files            damage model files, checkpoints and preprocessed data
configurations   change configurations
inputs           change texts, corpora, archives, documents and side files
parsers          fuzz each parser with coverage guidance for --seconds (needs `pip install -e .[fuzz]`)
distributed      kill and stop each rank of a training in each phase
load             use many threads, processes and lines
bulk             translate many files on Ray, in processes and in shards, with killed workers and commands (needs Ray).
                 The same command resumes it
serve            send requests to a server: speed, soak (many checked requests of 20 clients), hostile clients,
                 requests (--count random ones from the description of /v1, by schemathesis)
short            some of kills, files, configurations and inputs
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

FUZZED = ("files", "configurations", "inputs")
SHORT_KILLS, SHORT_FILES = 2, 6
SHORT_SCENARIOS = ("train", "translate text")
SHARED_MEMORY = Path("/dev/shm")
show = partial(print, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a part of the campaign, and return 1 if it found a fault."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("kills", "faults", *FUZZED, "parsers", "distributed", "load", "bulk", "serve", "short")
    parser.add_argument("part", choices=parts)
    parser.add_argument("--count", type=int, default=100, help="Number of random cases. Default: 100.")
    parser.add_argument("--targeted", type=int, default=0, help="Number of targeted kills. Default: 0.")
    parser.add_argument("--start", type=int, default=0, help="Number of the first random case. Default: 0.")
    parser.add_argument("--seconds", type=int, default=60, help="Duration for each parser. Default: 60.")
    parser.add_argument(
        "--lines", type=int, default=200_000, help="Lines through a pipe, or in all files. Default: 200000."
    )
    parser.add_argument("--requests", type=int, default=500_000, help="Requests of soak. Default: 500000.")
    parser.add_argument("--model", type=Path, help="Model for bulk, and for the speed of serve. Default: a tiny one.")
    parser.add_argument("--text", type=Path, help="Lines for bulk, and the speed of serve. Default: generated ones.")
    parser.add_argument("--beam-size", type=int, help="Beam of bulk. Default: that of the model.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of all random choices. Default: 1.")
    parser.add_argument("--minutes", type=float, default=60.0, help="Longest duration. Default: 60.")
    parser.add_argument("--only", action="append", help="Name of a scenario, file, parser, way or check. Default: all.")
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "nmt-campaign",
        help="Folder for inputs and folders that show a fault. Default: nmt-campaign in the folder of temporary files.",
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part == "parsers":
        return _parsers(options)
    from campaign import forks

    forks.warm()
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    work = Path(tempfile.mkdtemp(prefix="nmt-campaign-", dir=memory))
    try:
        return _run(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(options: argparse.Namespace, work: Path) -> int:
    if options.part in ("kills", "faults"):
        return _kills(options, work)
    if options.part in FUZZED:
        return _fuzz(options, work, options.part)
    if options.part == "distributed":
        from campaign import distributed

        limits = {name: getattr(options, name) for name in ("count", "start", "seed", "minutes")}
        return int(bool(distributed.campaign(work, **limits, show=show)))
    if options.part == "load":
        from campaign.load import campaign

        return int(bool(campaign(work, lines=options.lines, show=show)))
    if options.part == "bulk":
        from campaign import bulk

        given = {name: getattr(options, name) for name in ("model", "text", "lines", "seed", "minutes", "only")}
        folder = options.keep / "bulk"
        problems = bulk.campaign(folder, beam=options.beam_size, **given, show=show)
        for problem in problems:
            show(f"FAILED {problem}")
        if not problems and not options.only:
            shutil.rmtree(folder)
        return int(bool(problems))
    if options.part == "serve":
        from campaign import serving

        limits = {name: getattr(options, name) for name in ("requests", "count", "minutes", "only")}
        return int(bool(serving.campaign(work, model=options.model, text=options.text, **limits, show=show)))
    options.count, options.targeted, options.only = SHORT_KILLS, SHORT_KILLS, SHORT_SCENARIOS
    failed = _kills(options, work)
    options.count, options.only = SHORT_FILES, None
    return max(failed, *(_fuzz(options, work, part) for part in FUZZED))


def _kills(options: argparse.Namespace, work: Path) -> int:
    from campaign.kills import KillCampaign, campaign

    kills = KillCampaign(work, seed=options.seed, scenarios=options.only)
    run = partial(campaign, kills, minutes=options.minutes, keep=options.keep, show=show)
    failures = run(kills.targeted_trials(options.targeted)) if options.targeted else []
    if options.count:
        trials = kills.fault_trials if options.part == "faults" else kills.random_trials
        failures += run(trials(options.count, start=options.start))
    return int(bool(failures))


def _fuzz(options: argparse.Namespace, work: Path, part: str) -> int:
    from campaign.fuzz import Fuzzer, campaign
    from campaign.targets import PARTS

    targets = [target for target in PARTS[part] if options.only is None or target.name in options.only]
    fuzzer = Fuzzer(work / part, seed=options.seed, targets=targets, template=work / "template")
    limits = {"start": options.start, "count": options.count, "minutes": options.minutes}
    return int(bool(campaign(fuzzer, **limits, keep=options.keep, show=show)))


def _parsers(options: argparse.Namespace) -> int:
    """Fuzz each parser in a process of its own, because the fuzzer ends its process."""
    from campaign.parsers import PARSERS, fuzz

    if options.inside:
        return fuzz(options.only[0], seconds=options.seconds, seed=options.seed, keep=options.keep)
    failed = 0
    for name in options.only or PARSERS:
        arguments = ["parsers", "--inside", "--only", name, "--seconds", str(options.seconds)]
        arguments += ["--seed", str(options.seed), "--keep", str(options.keep)]
        done = subprocess.run([sys.executable, "-m", "tests.campaign", *arguments], capture_output=True, check=False)
        said = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
        units = said.rpartition("number_of_executed_units:")[2].split()[:1] or ["?"]
        show(f"{name:16s} {units[0]:>9s} inputs, {'FAILED' if done.returncode else 'nothing found'}")
        if done.returncode:
            failed = 1
            show(said[-3000:])
    return failed

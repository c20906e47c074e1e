"""`nmt train --devices N`: starts N ranks on this machine with torch's elastic launcher, as torchrun does."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nmt.errors import TrainingError
from nmt.training.signals import STOPS
from nmt.training.watcher import RESUME

SAVE_SECONDS = 3600
"""Longest wait for the checkpoint after a signal."""
ADDRESS = "127.0.0.1"


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run `nmt` with `arguments` in several processes, and return the exit code.

    A stop signal is passed on to all of them.

    Raises:
        TrainingError: All processes were killed, so that none could say why.
    """
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    options: dict[str, Any] = {
        "signals_to_handle": ",".join(signal.Signals(number).name for number in STOPS),
        "shutdown_timeout": SAVE_SECONDS,
    }
    known = LaunchConfig.__dataclass_fields__
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="nmt",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{ADDRESS}:0",
        local_addr=ADDRESS,
        max_restarts=0,
        **{name: value for name, value in options.items() if name in known},
    )
    try:
        elastic_launch(config, sys.executable)("-m", "nmt", *arguments)
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        if len(codes) == processes and max(codes) < 0:
            raise TrainingError(
                f"all {processes} processes were killed (signal {-codes[0]}), perhaps for lack of memory. {RESUME}"
            ) from None
        return max(*codes, TrainingError.exit_code)  # a rank has printed the reason
    return 0

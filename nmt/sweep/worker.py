"""The process of one parallel training."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

from nmt import log
from nmt.config import Config
from nmt.errors import Interrupted, NMTError

Train = Callable[[Config], object]
"""Trains one run; it is pickled."""


def work(train: Train, config: Config, stop: Connection) -> None:
    """Train in this process and end it with an exit code. SIGINT is blocked at the start.

    Args:
        train: Trains the run.
        config: The run.
        stop: Training is interrupted when the other end is closed, by the command or because the command died.
    """
    os.setpgid(0, 0)  # Ctrl-C is for the command
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # discards a signal that arrived earlier
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_interrupt_at_end, args=(stop,), daemon=True).start()
    log.setup(level=logging.WARNING)
    try:
        train(config)
    except Interrupted as error:
        sys.exit(error.exit_code)
    except NMTError as error:
        log.logger.error("%s: %s", config.name, error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _interrupt_at_end(stop: Connection) -> None:
    wait([stop])
    os.kill(os.getpid(), signal.SIGINT)

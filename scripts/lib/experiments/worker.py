"""A process that trains one run, for `side_by_side`."""

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
    """Train in this process, which SIGINT is blocked in, and end it with an exit code.

    Args:
        train: What is called.
        config: The run.
        stop: When its other end is closed, by the command or by its death, training is interrupted.
    """
    os.setpgid(0, 0)  # Ctrl-C is for the command
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forgets one that came before that
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

"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

# A shell starts background jobs with Ctrl-C ignored, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Computing with one thread, which is faster for networks as tiny as those of tests."""
    import torch  # here, because many tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

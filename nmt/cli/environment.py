"""What torch's libraries are told before they are loaded. What the user has set in the environment stays."""

from __future__ import annotations

import os


def set_up_threads() -> None:
    """Say how often a thread looks for work before it sleeps."""
    # Two programs that each train a small network on the same two cores reached 8.0k pieces/s each with this, 4.9k with
    # 10,000 and 4.6k with the default; alone, 19k with this as with 10,000, and 14k with 1,000.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def remember_some_shapes() -> None:
    """Let oneDNN keep the kernels of 128 shapes of operands instead of 1,024, and torch's layer above it those of 8.

    For training, whose batches have so many shapes that this would grow by gigabytes. 128 have those of the last few
    batches, among which the rounded shapes of `nmt.model.layers` come again; 256 saved 2% more of the time, and took
    250 MB. A search has few shapes, and is a tenth faster when they are all kept.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "8")

"""Damages files as disks, networks and strangers do."""

from __future__ import annotations


def flip(content: bytes, bit: int) -> bytes:
    """The content with one bit flipped."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)

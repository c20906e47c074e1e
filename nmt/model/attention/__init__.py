"""Attention: each target position looks at the source positions. Start reading at `attention.py`."""

from nmt.model.attention.attention import Attention
from nmt.model.attention.coverage import coverage_loss
from nmt.model.attention.make import make_attention

__all__ = ["Attention", "coverage_loss", "make_attention"]

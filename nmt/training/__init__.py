"""Training: the loop, objectives, fused losses, optimizer, averaging, checkpoints, reports."""

from nmt.training.train import train

__all__ = ["train"]

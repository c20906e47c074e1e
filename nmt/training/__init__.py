"""Training: the loop, the loss, optimisation, averaging, checkpoints, reports."""

from nmt.training.train import train

__all__ = ["train"]

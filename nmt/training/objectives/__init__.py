"""What an update improves, one file each: likelihood, R-Drop, minimum risk, and what can be added to them."""

from nmt.training.objectives.base import LossOutput, Objective
from nmt.training.objectives.build import build_objective

__all__ = ["LossOutput", "Objective", "build_objective"]

"""Training objectives: likelihood, R-Drop, minimum risk, and auxiliary losses."""

from nmt.training.objectives.base import LossOutput, Objective
from nmt.training.objectives.build import build_objective

__all__ = ["LossOutput", "Objective", "build_objective"]

"""What an update improves, one file each: likelihood, R-Drop, minimum risk, and what can be added to them."""

from nmt.training.objectives.make import make_objective
from nmt.training.objectives.objective import Objective, Terms

__all__ = ["Objective", "Terms", "make_objective"]

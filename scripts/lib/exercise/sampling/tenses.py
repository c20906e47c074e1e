"""The tenses of one sentence, which go together."""

from __future__ import annotations

from exercise.morphology.tense import Tense
from exercise.sampling.dice import Dice

TENSES = ((Tense.PRESENT, 60.0), (Tense.PERFECT, 22.0), (Tense.FUTURE, 18.0))
SHARE_OF_PAST = 0.35


class TenseSampler:
    """Draws tenses: in one sentence all past, or none.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice
        self.past = False

    def new_sentence(self) -> None:
        """Chooses whether the next sentence is about the past."""
        self.past = self._dice.chance(SHARE_OF_PAST)

    def any(self) -> Tense:
        """A tense for a main clause."""
        return Tense.PAST if self.past else self._dice.weighted(TENSES)

    def simple(self) -> Tense:
        """Present or simple past."""
        return Tense.PAST if self.past else Tense.PRESENT

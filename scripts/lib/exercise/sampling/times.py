"""Draws times: days, dates, clock times, distances."""

from __future__ import annotations

from exercise.grammar.determiners import THE
from exercise.grammar.nominals import NounPhrase, prepositional_phrase
from exercise.grammar.words import Fragment, Leaf, chunks, fragment, phrase, words
from exercise.lexicon.adverbials import DAY_PARTS, DAYS, DURING, MONTHS, ONE_WORD_TIMES, SEASONS, TIMES, UNITS
from exercise.lexicon.noun_groups import group
from exercise.morphology.german import Case
from exercise.morphology.numerals import english_cardinal, english_ordinal, german_cardinal, german_ordinal
from exercise.morphology.tense import Tense
from exercise.sampling.dice import Dice


def joined(first: Fragment, second: Fragment) -> Fragment:
    """Two adverbials: German in this order, English the other way round (*at ten on Monday*)."""
    german = phrase(first.german.words + second.german.words)
    return Fragment(second.english + first.english, german)


class TimeSampler:
    """Draws times.

    Args:
        dice: Where the choices come from.
    """

    def __init__(self, *, dice: Dice) -> None:
        self._dice = dice

    def time(self, tense: Tense, *, room: int) -> Fragment:
        """When, in about `room` words."""
        dice = self._dice
        choices = [("word", 2.0)]
        if room >= 2:
            choices += [("phrase", 3.0), ("day", 2.5), ("month", 1.2), ("part", 1.2)]
        if room >= 3:
            choices += [("clock", 3.0), ("distance", 2.0 if tense is not Tense.PRESENT else 0.0), ("date", 1.0)]
            choices += [("during", 1.5)]
        if room >= 5:
            choices += [("day and clock", 3.0)]
        kind = dice.weighted(choices)
        dice.note(f"time: {kind}")
        if kind == "word":
            return chunks(dice.pick(ONE_WORD_TIMES[tense]))
        if kind == "phrase":
            return chunks(dice.pick(TIMES[tense]))
        if kind == "day":
            return self._day()
        if kind == "month":
            return chunks(f"in=im {dice.pick(MONTHS + SEASONS)}")
        if kind == "part":
            return chunks(dice.pick(DAY_PARTS))
        if kind == "clock":
            return self.clock("at", "um")
        if kind == "date":
            return self._date()
        if kind == "distance":
            return self._distance(tense)
        return self._during() if kind == "during" else self.day_and_clock()

    def day_and_clock(self) -> Fragment:
        """*at ten o'clock on Monday*, *am Montag um zehn Uhr*."""
        return joined(self._day(), self.clock("at", "um"))

    def clock(self, english: str, german: str) -> Fragment:
        """A clock time behind *at* and *um*, or behind nothing."""
        dice = self._dice
        dice.note("clock time")
        hour = dice.between(1, 12)
        front = fragment(english, german)
        style = dice.weighted((("full", 3.0), ("half", 2.5), ("quarter", 2.5), ("minutes", 2.0)))
        if style == "full":
            one = "ein" if hour == 1 else german_cardinal(hour)
            steps = chunks(f"{english_cardinal(hour)}={one} o'clock=Uhr")
        elif style == "half":
            steps = chunks(f"half+past=halb {english_cardinal(hour)}={german_cardinal(hour % 12 + 1)}")
        else:
            direction = dice.pick(("past=nach", "to=vor"))
            minutes = dice.pick((5, 10, 20))
            number = f"{english_cardinal(minutes)}={german_cardinal(minutes)}"
            start = "a+quarter=Viertel" if style == "quarter" else number
            steps = chunks(f"{start} {direction} {english_cardinal(hour)}={german_cardinal(hour)}")
        return Fragment(front.english + steps.english, phrase(front.german.words + steps.german.words))

    def duration(self) -> Fragment:
        """*for two hours*, *zwei Stunden lang*."""
        self._dice.note("duration")
        number = self._dice.between(2, 12)
        unit = self._dice.pick(UNITS[:2])
        counted = self._counted(number, unit[0], unit[1])
        long = Leaf()
        return Fragment(words("for", long) + counted.english, phrase(counted.german.words + words("lang", long)))

    def _counted(self, number: int, english: str, german: str) -> Fragment:
        return chunks(f"{english_cardinal(number)}={german_cardinal(number)} {english}={german}")

    def _day(self) -> Fragment:
        return chunks(f"on=am {self._dice.pick(DAYS)}")

    def _date(self) -> Fragment:
        day = self._dice.between(1, 31)
        return chunks(f"on+the=am {english_ordinal(day)}={german_ordinal(day)}en of+{self._dice.pick(MONTHS)}")

    def _distance(self, tense: Tense) -> Fragment:
        english, _, dative = self._dice.pick(UNITS)
        counted = self._counted(self._dice.between(2, 20), english, dative)
        leaf = Leaf()
        if tense is Tense.PAST:
            return Fragment(counted.english + words("ago", leaf), phrase(words("vor", leaf) + counted.german.words))
        return Fragment(words("in", leaf) + counted.english, phrase(words("in", leaf) + counted.german.words))

    def _during(self) -> Fragment:
        self._dice.note("genitive preposition")
        english, german, names = DURING
        noun = NounPhrase(self._dice.pick(group(names)), THE, False)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.GENITIVE, nominal=noun)

"""Draws places, directions, times, and the other adverbials of a clause."""

from __future__ import annotations

from dataclasses import replace

from nmt.exercise.adverbials import (
    BESIDE,
    CAUSES,
    CITIES,
    COUNTRIES,
    DAY_PARTS,
    DAYS,
    DURING,
    FREQUENCY,
    MANNER,
    MONTHS,
    ONE_WORD_TIMES,
    PLACES,
    SEASONS,
    TIMES,
    UNITS,
)
from nmt.exercise.dice import Dice
from nmt.exercise.german import Case
from nmt.exercise.nominal_sampler import NominalSampler
from nmt.exercise.nominals import A, Agreement, NounPhrase, THE, prepositional_phrase
from nmt.exercise.nouns import group
from nmt.exercise.numerals import english_cardinal, english_ordinal, german_cardinal, german_ordinal
from nmt.exercise.verb_phrases import Tense
from nmt.exercise.verbs import Verb
from nmt.exercise.words import Fragment, Leaf, chunks, fragment, phrase, words


def joined(first: Fragment, second: Fragment) -> Fragment:
    """Two adverbials: German in this order, English the other way round (*at ten on Monday*)."""
    german = phrase(first.german.words + second.german.words)
    return Fragment(second.english + first.english, german)


class AdverbialSampler:
    """Draws adverbials.

    Args:
        dice: Where the choices come from.
        nominals: Draws the noun phrases in them.
    """

    def __init__(self, *, dice: Dice, nominals: NominalSampler) -> None:
        self._dice = dice
        self._nominals = nominals

    # ------------------------------------------------------------------------------------------------- places

    def place(self, names: str, *, richness: float) -> Fragment:
        """Where: one of a group of places."""
        self._dice.note("place, dative")
        noun = self._place_noun(names, richness)
        english, german = PLACES[noun.noun.singular].where
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def needed_place(self, kind: str, *, richness: float) -> Fragment:
        """Where, for verbs that need to be told: `stay`, `live`, `thing`, `wall`, `seat`."""
        dice = self._dice
        if kind == "stay":
            return chunks("at=zu home=Hause") if dice.chance(0.4) else self.place("staying", richness=richness)
        if kind == "live":
            if dice.chance(0.4):
                return self._proper("in", "in", dice.pick(CITIES + COUNTRIES))
            return self.place("living", richness=richness)
        if kind == "wall":
            return self._two_way("on", "an", Case.DATIVE, "wall", richness)
        if kind == "seat":
            return self._two_way("on", "auf", Case.DATIVE, "seat", richness)
        return self._spot(Case.DATIVE, richness)

    def direction(self, kind: str, *, richness: float) -> Fragment:
        """Where to, or where from (`from`): `go`, `drive`, `travel`, `onto`, `up`, `put`, `hang`, `seat`."""
        dice = self._dice
        if kind == "from":
            return self._origin(richness)
        if kind == "onto":
            return self._two_way("onto", "auf", Case.ACCUSATIVE, "jumped_onto", richness)
        if kind == "up":
            return self._two_way("onto", "auf", Case.ACCUSATIVE, "climbed", richness)
        if kind == "put":
            return self._spot(Case.ACCUSATIVE, richness)
        if kind == "hang":
            return self._two_way("on", "an", Case.ACCUSATIVE, "wall", richness)
        if kind == "seat":
            return self._two_way("on", "auf", Case.ACCUSATIVE, "seat", richness)
        if kind in ("go", "drive") and dice.chance(0.15):
            return chunks("home=nach+Hause")
        if kind == "go" and dice.chance(0.15):
            return self._to_somebody("to", "zu", richness)
        if kind == "travel" and dice.chance(0.65):
            return self._proper("to", "nach", dice.pick(CITIES + COUNTRIES))
        names = {"go": "walking", "drive": "driving", "travel": "travelling"}[kind]
        noun = self._place_noun(names, richness)
        english, german, case = PLACES[noun.noun.singular].to
        dice.note("direction, dative" if case is Case.DATIVE else "direction, accusative")
        return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=noun)

    def somewhere(self, *, richness: float) -> Fragment:
        """A place that *be* can be said with."""
        dice = self._dice
        kind = dice.weighted((("out", 6.0), ("home", 2.0), ("person", 1.5)))
        if kind == "home":
            return chunks("at=zu home=Hause")
        return self.at_somebodys() if kind == "person" else self.place("out", richness=richness)

    def at_somebodys(self) -> Fragment:
        """*at the doctor's*, *beim Arzt*."""
        self._dice.note("bei")
        noun = NounPhrase(self._dice.pick(group("professional")), THE, False)
        result = prepositional_phrase(english="at", german_preposition="bei", case=Case.DATIVE, nominal=noun)
        *others, last = result.english
        return Fragment((*others, last._replace(text=last.text + "'s")), result.german)

    def beside(self, *, richness: float) -> Fragment:
        """A place behind a noun: *next to the church*."""
        english, german = self._dice.pick(BESIDE[1:])
        noun = self._nominals.noun_phrase(self._dice.pick(group("landmark")), richness=richness, singular=True, owner=None)
        noun = replace(noun, determiner=THE, possessor=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def _place_noun(self, names: str, richness: float) -> NounPhrase:
        dice = self._dice
        noun = self._nominals.noun_phrase(dice.pick(group(names)), richness=richness, singular=True, owner=None)
        if noun.possessor is None and noun.noun.countable and dice.chance(0.6):
            return replace(noun, determiner=THE, many=False)
        return noun

    def _two_way(self, english: str, german: str, case: Case, names: str, richness: float) -> Fragment:
        self._dice.note("two-way preposition, " + case.name.lower())
        noun = self._nominals.noun_phrase(self._dice.pick(group(names)), richness=richness, singular=True, owner=None)
        return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=noun)

    def _spot(self, case: Case, richness: float) -> Fragment:
        """In, on or beside a piece of furniture and the like, where it is or where it goes."""
        kind = self._dice.weighted((("on", 5.0), ("in", 2.0), ("beside", 3.0)))
        if kind == "on":
            return self._two_way("on", "auf", case, "surface", richness)
        if kind == "in":
            into = "in" if case is Case.DATIVE else "into"
            return self._two_way(into, "in", case, "inside", richness)
        english, german = self._dice.pick(BESIDE)
        return self._two_way(english, german, case, "beside", richness)

    def _origin(self, richness: float) -> Fragment:
        dice = self._dice
        if dice.chance(0.25):
            return self._proper("from", "aus", dice.pick(CITIES + COUNTRIES))
        noun = self._place_noun("returning", richness)
        english, german = PLACES[noun.noun.singular].origin
        dice.note("origin")
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=noun)

    def _to_somebody(self, english: str, german: str, richness: float) -> Fragment:
        self._dice.note("zu somebody")
        noun = self._dice.pick(group("professional,friend,aunt,uncle,grandmother,grandfather"))
        person = self._nominals.noun_phrase(noun, richness=richness, singular=True, owner=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.DATIVE, nominal=person)

    def _proper(self, english: str, german: str, name: str) -> Fragment:
        self._dice.note("city or country")
        left, _, right = name.partition("=")
        first, second = fragment(english, german), fragment(left, right or left)
        return Fragment(first.english + second.english, phrase(first.german.words + second.german.words))

    # -------------------------------------------------------------------------------------------------- times

    def time(self, tense: Tense, *, room: int, simple: bool) -> Fragment:
        """When, in about `room` words. `simple`: nothing with a noun of its own such as *during the film*."""
        dice = self._dice
        choices = [("word", 2.0)]
        if room >= 2:
            choices += [("phrase", 3.0), ("day", 2.5), ("month", 1.2), ("part", 1.2)]
        if room >= 3:
            choices += [("clock", 3.0), ("distance", 2.0 if tense is not Tense.PRESENT else 0.0), ("date", 1.0)]
            choices += [("during", 0.0 if simple else 1.5)]
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
        return self._during() if kind == "during" else joined(self._day(), self.clock("at", "um"))

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
        unit = self._dice.pick(UNITS[:3])
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

    # ------------------------------------------------------------------------------------------------- others

    def cause(self, *, richness: float) -> Fragment:
        """*because of the rain*, *despite the cold*."""
        self._dice.note("genitive preposition")
        english, german, names = self._dice.pick(CAUSES)
        noun = self._nominals.noun_phrase(self._dice.pick(group(names)), richness=richness, singular=True, owner=None)
        if noun.determiner is A:
            noun = replace(noun, determiner=THE)
        noun = replace(noun, possessor=None)
        return prepositional_phrase(english=english, german_preposition=german, case=Case.GENITIVE, nominal=noun)

    def frequency(self, tense: Tense) -> Fragment:
        """*often*, *already* and the like."""
        self._dice.note("adverb of frequency")
        return chunks(self._dice.pick(FREQUENCY[tense]))

    def manner(self, verb: Verb) -> Fragment:
        """How."""
        self._dice.note("adverb of manner")
        english = self._dice.pick(verb.manner)
        return fragment(english, MANNER[english])

    def by_vehicle(self) -> Fragment:
        """*by train*, *mit dem Zug*."""
        self._dice.note("by vehicle")
        noun = NounPhrase(self._dice.pick(group("bus,train,car,taxi,tram,bicycle")), THE, False)
        by, german = noun.determiner_leaf, noun.german(Case.DATIVE).words
        return Fragment(words("by", by) + words(noun.noun.singular, noun.noun_leaf), phrase(words("mit", by) + german))

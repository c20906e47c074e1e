"""Tables of places, times and adverbs: which preposition goes with which noun in both languages."""

from __future__ import annotations

from typing import NamedTuple

from exercise.morphology.german import Case, Gender
from exercise.morphology.tense import Tense


class PlaceNoun(NamedTuple):
    """The prepositions of a place: where, where to, where from. English, German, and the case of where to."""

    noun: str
    where: tuple[str, str]
    to: tuple[str, str, Case]
    origin: tuple[str, str]


# noun, where, where to (zu takes the dative, the others the accusative), where from
PLACE_TABLE = """
    bathroom in=in into=in from=aus
    beach on=an to=an from=von
    bridge on=auf to=zu from=von
    church in=in to=in from=aus
    cinema in=in to=in from=aus
    city in=in to=in from=aus
    forest in=in to=in from=aus
    garden in=in into=in from=aus
    hospital in=in to=in from=aus
    hotel in=in to=in from=aus
    house in=in into=in from=aus
    kitchen in=in into=in from=aus
    lake at=an to=an from=von
    library in=in to=in from=aus
    market at=auf to=auf from=von
    mountain on=auf onto=auf from=von
    museum in=in to=in from=aus
    park in=in to=in from=aus
    restaurant in=in to=in from=aus
    river at=an to=an from=von
    room in=in into=in from=aus
    school in=in to=zu from=aus
    sea by=an to=an from=von
    station at=an to=zu from=von
    street on=auf onto=auf from=von
    university at=an to=zu from=von
    village in=in to=in from=aus
"""


def _place(row: str) -> PlaceNoun:
    noun, *columns = row.split()
    (at, german_at), (to, german_to), (origin, german_origin) = (column.split("=") for column in columns)
    case = Case.DATIVE if german_to == "zu" else Case.ACCUSATIVE
    return PlaceNoun(noun, (at, german_at), (to, german_to, case), (origin, german_origin))


PLACES: dict[str, PlaceNoun] = {place.noun: place for place in map(_place, PLACE_TABLE.strip().splitlines())}
"""Every place by its English noun."""

BESIDE = (("under", "unter"), ("behind", "hinter"), ("next to", "neben"), ("in front of", "vor"))
"""Two-way prepositions: dative where something is, accusative where it is going."""

CITIES = ("Berlin", "Hamburg", "London", "Madrid", "Cologne=Köln", "Munich=München", "Vienna=Wien", "Rome=Rom")
COUNTRIES = ("Austria=Österreich", "France=Frankreich", "Germany=Deutschland", "Italy=Italien", "Spain=Spanien")

NAMES = (
    ("Anna", Gender.FEMININE),
    ("Emma", Gender.FEMININE),
    ("Julia", Gender.FEMININE),
    ("Laura", Gender.FEMININE),
    ("Maria", Gender.FEMININE),
    ("Daniel", Gender.MASCULINE),
    ("Martin", Gender.MASCULINE),
    ("Paul", Gender.MASCULINE),
    ("Peter", Gender.MASCULINE),
    ("Simon", Gender.MASCULINE),
)

DAYS = (
    *("Monday=Montag", "Tuesday=Dienstag", "Wednesday=Mittwoch", "Thursday=Donnerstag"),
    *("Friday=Freitag", "Saturday=Samstag", "Sunday=Sonntag"),
)
MONTHS = (
    *("January=Januar", "February=Februar", "March=März", "April=April", "May=Mai", "June=Juni", "July=Juli"),
    *("August=August", "September=September", "October=Oktober", "November=November", "December=Dezember"),
)
SEASONS = ("spring=Frühling", "summer=Sommer", "autumn=Herbst", "winter=Winter")
DAY_PARTS = (
    *("in+the=am morning=Morgen", "in+the=am afternoon=Nachmittag", "in+the=am evening=Abend"),
    "at=in+der night=Nacht",
)

ONE_WORD_TIMES: dict[Tense, tuple[str, ...]] = {
    Tense.PRESENT: ("today=heute", "now=jetzt"),
    Tense.PAST: ("yesterday=gestern",),
    Tense.FUTURE: ("tomorrow=morgen", "soon=bald"),
}
TIMES: dict[Tense, tuple[str, ...]] = {
    Tense.PRESENT: (
        "every=jeden day=Tag",
        "every=jeden morning=Morgen",
        "every=jeden evening=Abend",
        "every=jede week=Woche",
        "this=heute morning=Morgen",
        "this=heute evening=Abend",
    ),
    Tense.PAST: (
        "last=letzte week=Woche",
        "last=letzten month=Monat",
        "last=letztes year=Jahr",
        "yesterday=gestern morning=Morgen",
        "yesterday=gestern evening=Abend",
    ),
    Tense.FUTURE: (
        "next=nächste week=Woche",
        "next=nächsten month=Monat",
        "next=nächstes year=Jahr",
        "tomorrow=morgen afternoon=Nachmittag",
        "tomorrow=morgen evening=Abend",
    ),
}
UNITS = (
    ("minutes", "Minuten", "Minuten"),
    ("hours", "Stunden", "Stunden"),
    ("days", "Tage", "Tagen"),
    ("weeks", "Wochen", "Wochen"),
    ("months", "Monate", "Monaten"),
    ("years", "Jahre", "Jahren"),
)
"""English plural, German plural in the accusative and in the dative."""

FREQUENCY: dict[Tense, tuple[str, ...]] = {
    Tense.PRESENT: ("always=immer", "often=oft", "never=nie", "sometimes=manchmal", "usually=meistens"),
    Tense.PAST: ("often=oft", "never=nie", "sometimes=manchmal", "always=immer"),
    Tense.PERFECT: ("already=schon", "never=nie", "just=gerade", "often=oft"),
    Tense.FUTURE: ("never=nie", "always=immer"),
}

MANNER = {
    "alone": "allein",
    "badly": "schlecht",
    "beautifully": "schön",
    "carefully": "sorgfältig",
    "loudly": "laut",
    "patiently": "geduldig",
    "quickly": "schnell",
    "quietly": "leise",
    "slowly": "langsam",
}
CONNECTORS = ("therefore=deshalb", "then=dann", "nevertheless=trotzdem")
CAUSES = (
    ("because of", "wegen", "weather,exam,party"),
    ("despite", "trotz", "weather"),
)
DURING = ("during", "während", "event")
"""English preposition, German preposition with the genitive, nouns."""

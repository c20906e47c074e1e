"""The adjectives, and the nouns they can be said of."""

from __future__ import annotations

from dataclasses import dataclass

from exercise.lexicon.noun_groups import group
from exercise.lexicon.nouns import NOUNS


@dataclass(frozen=True, eq=False)
class Adjective:
    """An adjective in both languages, each in three degrees.

    Attributes:
        english: Positive, comparative and superlative; the last two are empty if it is not compared.
        german: The same; the superlative is the stem (`ältest`).
        stem: The German positive before an ending (`hoh` of `hoch`).
    """

    english: tuple[str, str, str]
    german: tuple[str, str, str]
    stem: str

    @property
    def gradable(self) -> bool:
        return bool(self.english[1])


# English positive, comparative, superlative / German predicative[:stem], comparative, superlative stem / said of.
# Only degrees that are used are given: `- -` for adjectives that the grammar does not compare.
TABLE = """
    old older oldest / alt älter ältest / animate clothing object text built vehicle furniture tree roof wall song
    young younger youngest / jung jünger jüngst / animate
    big bigger biggest / groß größer größt / animal object vehicle place food furniture tree window party problem
    small smaller smallest / klein kleiner kleinst / animal object vehicle place food furniture child boy girl window
    new newer newest / neu neuer neuest / clothing object text built vehicle device furniture idea plan song
    beautiful more_beautiful most_beautiful / schön schöner schönst / animal object place clothing song queen
    expensive more_expensive most_expensive / teuer:teur teurer teuerst / object clothing vehicle device furniture
    cheap cheaper cheapest / billig billiger billigst / object clothing vehicle device furniture hotel restaurant
    long longer longest / lang länger längst / text street river bridge coat scarf event table song
    short shorter shortest / kurz kürzer kürzest / text street coat event song
    good better best / gut besser best / text event idea plan food staple drink restaurant hotel teacher doctor
    bad worse worst / schlecht schlechter schlechtest / text idea film game song restaurant hotel plan
    friendly friendlier friendliest / freundlich freundlicher freundlichst / person
    clever cleverer cleverest / klug klüger klügst / person fox monkey dog
    famous more_famous most_famous / berühmt berühmter berühmtest / person museum city church song
    rich richer richest / reich reicher reichst / person city
    poor poorer poorest / arm ärmer ärmst / person village
    strong stronger strongest / stark stärker stärkst / man boy animal coffee wind
    tired - - / müde:müd - - / animate
    ill - - / krank - - / animate
    hungry - - / hungrig - - / animate
    happy happier happiest / glücklich glücklicher glücklichst / person
    sad sadder saddest / traurig trauriger traurigst / person story song film
    funny funnier funniest / lustig lustiger lustigst / person story film monkey poem
    nice nicer nicest / nett netter nettest / person
    angry - - / wütend - - / animate
    quiet quieter quietest / ruhig ruhiger ruhigst / person street village park library room hotel sea
    red - - / rot - - / clothing car bicycle bag cup flower house roof apple umbrella box ball door
    blue - - / blau - - / clothing car bicycle bag cup flower umbrella plate door sea
    green - - / grün - - / clothing car bicycle bag cup bottle apple sofa door
    black - - / schwarz - - / clothing car bicycle bag umbrella cat dog horse suitcase
    white - - / weiß - - / clothing car plate cup flower horse house wall cat candle
    difficult more_difficult most_difficult / schwierig schwieriger schwierigst / question exam problem text game
    easy easier easiest / einfach einfacher einfachst / question exam game
    empty - - / leer - - / bottle glass bag box room street house cup restaurant bus
    full - - / voll - - / bottle glass bag box bus train restaurant suitcase
    broken - - / kaputt - - / vehicle device window chair watch umbrella cup shoe
    dirty dirtier dirtiest / schmutzig schmutziger schmutzigst / clothing plate cup window street kitchen car glass
    dark darker darkest / dunkel:dunkl dunkler dunkelst / room forest street coat house church
    warm warmer warmest / warm wärmer wärmst / milk water soup room coat bed house sweater
    cold colder coldest / kalt kälter kältest / drink room soup house bathroom wind lake sea rain
    hot hotter hottest / heiß heißer heißest / tea coffee soup
    fresh fresher freshest / frisch frischer frischest / bread cheese fruit meat food milk juice flower
    sweet sweeter sweetest / süß süßer süßest / apple cherry strawberry juice tea cake wine pear
    high higher highest / hoch:hoh höher höchst / mountain wall bridge
    interesting more_interesting most_interesting / interessant interessanter interessantest / text event idea museum
    boring more_boring most_boring / langweilig langweiliger langweiligst / text event game
    important more_important most_important / wichtig wichtiger wichtigst / letter message question exam
"""


def _degrees(column: str) -> tuple[str, str, str]:
    positive, comparative, superlative = ("" if part == "-" else part.replace("_", " ") for part in column.split())
    return positive, comparative, superlative


def _adjective(row: str) -> Adjective:
    english, german, _ = row.split(" / ")
    positive, comparative, superlative = _degrees(german)
    predicative, _, stem = positive.partition(":")
    return Adjective(_degrees(english), (predicative, comparative, superlative), stem or predicative)


def _said_of(row: str) -> set[str]:
    """The English singulars of the nouns at the end of a row."""
    return {noun.singular for name in row.split(" / ")[2].split() for noun in group(name)}


_ROWS = tuple((_adjective(row), _said_of(row)) for row in TABLE.strip().splitlines())

ADJECTIVES: dict[str, Adjective] = {adjective.english[0]: adjective for adjective, _ in _ROWS}
"""Every adjective by its English positive."""

ADJECTIVES_OF: dict[str, tuple[Adjective, ...]] = {
    singular: tuple(adjective for adjective, said_of in _ROWS if singular in said_of) for singular in NOUNS
}
"""The adjectives that can be said of a noun, by its English singular."""

ABOUT_PEOPLE: tuple[Adjective, ...] = tuple(adjective for adjective, said_of in _ROWS if {"man", "woman"} <= said_of)
"""The adjectives that can be said of a person who is not named by a noun."""

"""The adjectives, and the nouns they can be said of."""

from __future__ import annotations

from dataclasses import dataclass

from nmt.exercise.nouns import NOUNS, group


@dataclass(frozen=True)
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
    old older oldest / alt älter ältest / animate clothing object text place vehicle furniture tree roof wall song
    young younger youngest / jung jünger jüngst / animate
    big bigger biggest / groß größer größt / animal object vehicle place food furniture tree window party problem
    small smaller smallest / klein kleiner kleinst / animal object vehicle place food furniture child boy girl window
    new newer newest / neu neuer neuest / clothing object text place vehicle device furniture idea plan rule song
    beautiful more_beautiful most_beautiful / schön schöner schönst / animal object place clothing song queen actress
    expensive more_expensive most_expensive / teuer:teur teurer teuerst / object clothing vehicle device furniture
    cheap cheaper cheapest / billig billiger billigst / object clothing vehicle device furniture hotel restaurant
    long longer longest / lang länger längst / text street river bridge coat dress skirt event table song
    short shorter shortest / kurz kürzer kürzest / text street coat dress skirt event song
    good better best / gut besser best / text event idea plan food staple drink restaurant hotel teacher doctor chef
    bad worse worst / schlecht schlechter schlechtest / text idea film game song restaurant hotel plan
    friendly friendlier friendliest / freundlich freundlicher freundlichst / person
    clever cleverer cleverest / klug klüger klügst / person fox monkey dog
    famous more_famous most_famous / berühmt berühmter berühmtest / person museum castle city church novel song
    rich richer richest / reich reicher reichst / person city
    poor poorer poorest / arm ärmer ärmst / person village
    strong stronger strongest / stark stärker stärkst / man boy soldier animal coffee wind
    tired - - / müde:müd - - / animate
    ill - - / krank - - / animate
    hungry - - / hungrig - - / animate
    happy happier happiest / glücklich glücklicher glücklichst / person
    sad sadder saddest / traurig trauriger traurigst / person story song film
    brave braver bravest / mutig mutiger mutigst / person
    funny funnier funniest / lustig lustiger lustigst / person story film monkey poem
    lazy lazier laziest / faul fauler faulst / animate
    polite politer politest / höflich höflicher höflichst / person
    strict stricter strictest / streng strenger strengst / teacher judge father mother rule king
    nice nicer nicest / nett netter nettest / person
    angry - - / wütend - - / animate
    diligent more_diligent most_diligent / fleißig fleißiger fleißigst / person
    quiet quieter quietest / ruhig ruhiger ruhigst / person street village park library room hotel sea
    red - - / rot - - / clothing car bicycle bag cup flower house roof apple umbrella box blanket ball door
    blue - - / blau - - / clothing car bicycle bag cup flower umbrella plate blanket vase door sea
    green - - / grün - - / clothing car bicycle bag cup bottle apple meadow blanket sofa door
    black - - / schwarz - - / clothing car bicycle bag umbrella cat dog horse suitcase
    white - - / weiß - - / clothing car plate cup flower horse house wall cat goose candle
    yellow - - / gelb - - / clothing car flower cup taxi bus bicycle
    brown - - / braun - - / clothing bag horse bear table chair dog
    grey - - / grau - - / clothing cat mouse house wall wolf goose elephant
    heavy heavier heaviest / schwer schwerer schwerst / suitcase bag box table machine cupboard basket bottle
    difficult more_difficult most_difficult / schwierig schwieriger schwierigst / question exam problem text game rule
    easy easier easiest / einfach einfacher einfachst / question exam rule game
    light lighter lightest / leicht leichter leichtest / suitcase bag basket chair bicycle coat jacket
    round - - / rund - - / table plate mirror window tower carpet
    empty - - / leer - - / bottle glass bag box room street house cup restaurant theatre bus basket
    full - - / voll - - / bottle glass bag box bus train restaurant basket theatre suitcase
    broken - - / kaputt - - / vehicle device window chair watch umbrella camera cup vase shoe
    dirty dirtier dirtiest / schmutzig schmutziger schmutzigst / clothing plate cup window street kitchen car glass
    dark darker darkest / dunkel:dunkl dunkler dunkelst / room forest cellar street coat house church
    bright brighter brightest / hell heller hellst / room lamp kitchen house office window
    warm warmer warmest / warm wärmer wärmst / milk water soup room coat blanket bed house sweater meal
    cold colder coldest / kalt kälter kältest / drink room cellar soup house bathroom wind lake sea rain
    hot hotter hottest / heiß heißer heißest / tea coffee soup oven
    fresh fresher freshest / frisch frischer frischest / bread butter cheese fruit meat food milk juice flower
    sweet sweeter sweetest / süß süßer süßest / apple cherry strawberry juice tea lemonade cake wine orange pear
    delicious - - / köstlich - - / food staple drink meal
    modern more_modern most_modern / modern moderner modernst / city hospital museum airport factory device kitchen
    high higher highest / hoch:hoh höher höchst / mountain tower tree wall
    deep deeper deepest / tief tiefer tiefst / lake sea river
    wide wider widest / breit breiter breitest / street river bed bench bridge
    loud louder loudest / laut lauter lautest / machine radio street city lorry child
    interesting more_interesting most_interesting / interessant interessanter interessantest / text event idea museum
    boring more_boring most_boring / langweilig langweiliger langweiligst / text event game
    important more_important most_important / wichtig wichtiger wichtigst / letter message question rule meeting exam
    exciting more_exciting most_exciting / spannend spannender spannendst / novel story film game journey book
    strange - - / seltsam - - / idea letter story noise question picture
    fast faster fastest / schnell schneller schnellst / vehicle horse dog computer
    slow slower slowest / langsam langsamer langsamst / vehicle computer cow
    wild - - / wild - - / animal
    comfortable more_comfortable most_comfortable / bequem bequemer bequemst / chair bed sofa shoe bench coat car
    sharp sharper sharpest / scharf schärfer schärfst / knife
    terrible - - / schrecklich - - / storm film mistake journey party noise heat cold
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

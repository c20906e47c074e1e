"""Which nouns go together: what can be eaten, opened, waited for."""

from __future__ import annotations

from functools import cache

from exercise.lexicon.nouns import KINDS, NOUNS, Noun

GROUPS = {
    "animate": "person animal",
    "goods": "food staple drink text clothing object device furniture vehicle",
    "portable": "book letter newspaper clothing object",
    "edible": "food staple",
    "cookable": "soup potato egg rice meat sausage",
    "bakeable": "cake bread pizza",
    "writable": "book letter message poem report story",
    "paintable": "picture flower tree bridge mountain horse cat",
    "buildable": "house bridge church ship boat shelf cupboard table school",
    "washable": "clothing car apple cup plate glass dog bicycle",
    "openable": "door window box suitcase bag bottle letter",
    "closable": "door window box suitcase bag",
    "repairable": "vehicle device watch roof door chair table bed",
    "tidy": "room kitchen house cupboard desk",
    "sendable": "letter message gift picture report flower",
    "givable": "object book letter newspaper apple banana pear",
    "hangable": "picture mirror watch",
    "upright": "bottle lamp cup glass plate chair candle suitcase",
    "layable": "book newspaper letter key knife ring hat scarf glove",
    "visitable": "museum city university school village church",
    "catchable": "ball thief mouse rabbit bird",
    "knowable": "question problem story plan song poem",
    "tellable": "story secret",
    "forgettable": "key umbrella bag question gift hat suitcase",
    "discussable": "film book journey problem plan exam party wedding idea concert mistake",
    "awaitable": "person bus train letter message",
    "dreamable": "journey sea wedding house garden party",
    "fearsome": "bear lion thief exam storm",
    "funny": "story mistake film idea",
    "celebration": "party journey wedding concert film",
    "schedule": "concert film game party wedding exam",
    "arriving": "bus train ship plane letter gift",
    "owned": "house car dog cat book bicycle computer umbrella garden bag watch horse boat",
    "professional": "doctor baker neighbour teacher farmer gardener",
    "profession": "artist baker doctor farmer gardener journalist musician policeman singer student teacher waiter",
    "playful": "ball cat dog horse",
    "at_home": "bathroom garden house kitchen room",
    "out": "beach bridge church cinema city forest garden hospital hotel house kitchen lake library market "
    "museum park restaurant river room school sea station street university village",
    "living": "city hotel house village",
    "staying": "city garden hospital hotel house kitchen library room village",
    "swimming": "lake river sea",
    "walking": "bathroom beach bridge church cinema city forest garden hospital hotel house kitchen lake library "
    "market museum park restaurant river room school station street university village",
    "driving": "beach church city forest hospital hotel lake library market museum restaurant school sea station "
    "university village",
    "travelling": "sea city",
    "returning": "beach church cinema city forest hospital lake library market museum park restaurant school sea "
    "station university village",
    "outdoors": "beach bridge city forest garden market mountain park street village",
    "crossed": "city forest garden park village",
    "surface": "table desk chair bed sofa shelf cupboard",
    "beside": "table desk chair bed sofa shelf cupboard door window lamp tree",
    "inside": "box bag suitcase cupboard",
    "built": "bathroom bridge church cinema city garden hospital hotel house kitchen library market museum park "
    "restaurant room school station street university village",
    "seat": "chair sofa bed",
    "jumped_onto": "table chair bed sofa car horse desk",
    "climbed": "tree roof table mountain",
    "building": "house church school hotel museum station restaurant library",
    "landmark": "house church school park lake station bridge market garden forest river",
    "visible": "person animal bridge tree vehicle film picture",
    "audible": "person dog bird radio song noise storm",
    "cleanable": "kitchen bathroom room window door table shoe car",
    "showable": "object text place clothing",
    "memorable": "person event place",
    "departing": "bus train ship",
}
"""Groups that verbs choose from: classes of meaning and single nouns. See `group`."""


@cache
def group(names: str) -> tuple[Noun, ...]:
    """The nouns of a comma-separated list of classes of meaning, `GROUPS` and English singulars."""
    return tuple(noun for name in names.split(",") for noun in _named(name))


def _named(name: str) -> tuple[Noun, ...]:
    if name in KINDS:
        return KINDS[name]
    if name in GROUPS:
        return tuple(noun for part in GROUPS[name].split() for noun in _named(part))
    return (NOUNS[name],)

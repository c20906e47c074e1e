"""German morphology from tables: articles, adjectives, nouns, pronouns and verbs.

Tables have a row for each case (nominative, accusative, dative, genitive) and a column for masculine, feminine,
neuter and plural.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Case(IntEnum):
    """Rows of the tables."""

    NOMINATIVE = 0
    ACCUSATIVE = 1
    DATIVE = 2
    GENITIVE = 3


class Gender(IntEnum):
    """The first three columns of the tables."""

    MASCULINE = 0
    FEMININE = 1
    NEUTER = 2


PLURAL = 3
Table = tuple[tuple[str, ...], ...]


def _table(*rows: str) -> Table:
    """A table from its rows; ``-`` is an empty cell."""
    return tuple(tuple("" if cell == "-" else cell for cell in row.split()) for row in rows)


def cell(table: Table, case: Case, gender: Gender, plural: bool) -> str:
    """The entry for a case and a gender, or for a case and the plural."""
    return table[case][PLURAL if plural else gender]


# ------------------------------------------------------------------------------------------ articles and adjectives

DEFINITE = _table("der die das die", "den die das die", "dem der dem den", "des der des der")
RELATIVE = _table("der die das die", "den die das die", "dem der dem denen", "dessen deren dessen deren")
DIESER_ENDINGS = _table("er e es e", "en e es e", "em er em en", "es er es er")
EIN_ENDINGS = _table("- e - e", "en e - e", "em er em en", "es er es er")

WEAK = _table("e e e en", "en e e en", "en en en en", "en en en en")
MIXED = _table("er e es en", "en e es en", "en en en en", "en en en en")
STRONG = _table("er e es e", "en e es e", "em er em en", "en er en er")

CONTRACTIONS = {
    ("an", "dem"): "am",
    ("an", "das"): "ans",
    ("bei", "dem"): "beim",
    ("in", "dem"): "im",
    ("in", "das"): "ins",
    ("von", "dem"): "vom",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
}


# -------------------------------------------------------------------------------------------------- nouns, pronouns


@dataclass(frozen=True)
class GermanNoun:
    """A noun as a dictionary gives it: gender, nominative, genitive, plural (None: there is none)."""

    gender: Gender
    nominative: str
    genitive: str
    plural: str | None

    @property
    def weak(self) -> bool:
        """Whether it belongs to the n-declension (*der Student, des Studenten*)."""
        return self.gender is Gender.MASCULINE and not self.genitive.endswith("s")

    def form(self, case: Case, plural: bool) -> str:
        """The noun in a case and number.

        Raises:
            ValueError: The plural is asked of a noun that has none.
        """
        if plural:
            if self.plural is None:
                raise ValueError(f"{self.nominative} has no plural")
            adds_n = case is Case.DATIVE and not self.plural.endswith(("n", "s"))
            return self.plural + "n" if adds_n else self.plural
        if case is Case.GENITIVE or (self.weak and case is not Case.NOMINATIVE):
            return self.genitive
        return self.nominative


PRONOUNS: dict[tuple[int, bool], tuple[str, str, str]] = {
    (1, False): ("ich", "mich", "mir"),
    (2, False): ("du", "dich", "dir"),
    (1, True): ("wir", "uns", "uns"),
    (3, True): ("sie", "sie", "ihnen"),
}
"""Nominative, accusative and dative by person and plural."""

THIRD_PERSON: dict[Gender, tuple[str, str, str]] = {
    Gender.MASCULINE: ("er", "ihn", "ihm"),
    Gender.FEMININE: ("sie", "sie", "ihr"),
    Gender.NEUTER: ("es", "es", "ihm"),
}

REFLEXIVE: dict[tuple[int, bool], str] = {(1, False): "mich", (2, False): "dich", (1, True): "uns"}
"""Accusative; *sich* in the third person."""


def personal_pronoun(person: int, plural: bool, gender: Gender, case: Case) -> str:
    """The personal pronoun (no genitive)."""
    forms = THIRD_PERSON[gender] if (person, plural) == (3, False) else PRONOUNS[person, plural]
    return forms[case]


def reflexive_pronoun(person: int, plural: bool) -> str:
    """The reflexive pronoun in the accusative."""
    return "sich" if person == 3 else REFLEXIVE[person, plural]


# ------------------------------------------------------------------------------------------------------------ verbs

SIBILANTS = ("s", "ß", "z", "x")


@dataclass(frozen=True)
class GermanVerb:
    """A verb by its principal parts, the separable prefix apart.

    Attributes:
        infinitive: Without the prefix, such as `schalten`.
        third: Present third person singular, without the prefix: `schaltet`.
        preterite: First and third person singular, without the prefix: `schaltete`.
        participle: With the prefix: `eingeschaltet`.
        with_sein: Whether its perfect is formed with *sein* rather than *haben*.
        prefix: The separable prefix, or "".
        reflexive: Whether it takes *sich* in the accusative.
    """

    infinitive: str
    third: str
    preterite: str
    participle: str
    with_sein: bool
    prefix: str
    reflexive: bool

    def present(self, person: int, plural: bool) -> str:
        """Present tense, without the prefix. The second person is *du*."""
        if self.infinitive in IRREGULAR_PRESENT:
            return IRREGULAR_PRESENT[self.infinitive][PLURAL if plural else person - 1]
        if plural:
            return self.infinitive
        if person == 3:
            return self.third
        return self._first() if person == 1 else self._second()

    def past(self, person: int, plural: bool) -> str:
        """Preterite, without the prefix.

        Raises:
            ValueError: The second person is asked for; the grammar says it in the perfect.
        """
        if person == 2:
            raise ValueError("the exercise grammar has no second person in the preterite")
        if not plural:
            return self.preterite
        return self.preterite + ("n" if self.preterite.endswith("e") else "en")

    def whole_infinitive(self) -> str:
        return self.prefix + self.infinitive

    def zu_infinitive(self) -> str:
        """The infinitive with *zu*, which goes between prefix and stem: `einzuschalten`, but `zu kaufen`."""
        return f"{self.prefix}zu{self.infinitive}" if self.prefix else f"zu {self.infinitive}"

    def _first(self) -> str:
        if self.infinitive.endswith("eln"):
            return self.infinitive[:-3] + "le"
        return self.infinitive.removesuffix("n").removesuffix("e") + "e"

    def _second(self) -> str:
        stem = self.third
        changed = not stem.endswith("et") and self.infinitive.removesuffix("en").endswith(("t", "d"))
        if changed:  # hält -> hältst, lädt -> lädst
            return stem.removesuffix("dt") + "dst" if stem.endswith("dt") else stem + "st"
        stem = stem.removesuffix("t")
        return stem + "t" if stem.endswith(SIBILANTS) else stem + "st"


IRREGULAR_PRESENT: dict[str, tuple[str, str, str, str]] = {
    "sein": ("bin", "bist", "ist", "sind"),
    "haben": ("habe", "hast", "hat", "haben"),
    "werden": ("werde", "wirst", "wird", "werden"),
    "wissen": ("weiß", "weißt", "weiß", "wissen"),
    "mögen": ("mag", "magst", "mag", "mögen"),
    "können": ("kann", "kannst", "kann", "können"),
    "müssen": ("muss", "musst", "muss", "müssen"),
    "wollen": ("will", "willst", "will", "wollen"),
    "dürfen": ("darf", "darfst", "darf", "dürfen"),
    "sollten": ("sollte", "solltest", "sollte", "sollten"),
    "möchten": ("möchte", "möchtest", "möchte", "möchten"),
}
"""First, second and third person singular, plural. *sollten* and *möchten* are the subjunctives of politeness."""


def german_verb(entry: str) -> GermanVerb:
    """A verb from its dictionary entry, such as ``ein-schalten schaltet schaltete eingeschaltet``.

    A hyphen marks the separable prefix; ``sich`` in front a reflexive verb, ``sein`` behind the auxiliary; the others
    form the perfect with ``haben``.
    """
    parts = entry.split()
    reflexive = parts[0] == "sich"
    whole, third, preterite, participle, *auxiliary = parts[1:] if reflexive else parts
    prefix, _, infinitive = whole.rpartition("-")
    return GermanVerb(infinitive, third, preterite, participle, auxiliary == ["sein"], prefix, reflexive)


SEIN = german_verb("sein ist war gewesen sein")
HABEN = german_verb("haben hat hatte gehabt")
WERDEN = german_verb("werden wird wurde geworden sein")

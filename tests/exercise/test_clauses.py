"""Word order, construction by construction, with the exact words in both languages and their alignment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exercise.grammar.clause_kinds import dependent, infinitive, question, statement
from exercise.grammar.clauses import Clause, Slot
from exercise.grammar.determiners import ANY, BARE, THE, A, Degree, attribute
from exercise.grammar.nominals import Agreement, Correction, Name, Nominal, NounPhrase, Pair, prepositional_phrase
from exercise.grammar.pronouns import Pronoun, Question, RelativeOwner, RelativePronoun
from exercise.grammar.verb_phrases import VerbPhrase
from exercise.grammar.words import COMMA, Fragment, Leaf, alignment, chunks, fragment, line, phrase
from exercise.lexicon.adjectives import ADJECTIVES
from exercise.lexicon.nouns import NOUNS
from exercise.lexicon.verbs import BE, MODALS, VERBS, Modal, Verb
from exercise.morphology.german import Case, Gender
from exercise.morphology.tense import Tense

PRESENT, PAST, PERFECT, PLUPERFECT, FUTURE = (
    Tense.PRESENT, Tense.PAST, Tense.PERFECT, Tense.PLUPERFECT, Tense.FUTURE
)  # fmt: skip


def the(noun: str, **more) -> NounPhrase:
    return NounPhrase(NOUNS[noun], THE, False, **more)


def a(noun: str, *adjectives: str) -> NounPhrase:
    attributes = tuple(attribute(ADJECTIVES[adjective], Degree.POSITIVE) for adjective in adjectives)
    return NounPhrase(NOUNS[noun], A, False, attributes=attributes)


def verb(infinitive: str, preterite: str = "") -> Verb:
    return next(
        verb
        for verb in VERBS
        if verb.german.whole_infinitive() == infinitive and preterite in ("", verb.german.preterite)
    )


def he(gender: Gender = Gender.MASCULINE) -> Pronoun:
    return Pronoun(Agreement(3, False, gender), False)


I = Pronoun(Agreement(1, False, Gender.MASCULINE), False)  # noqa: E741
YOU = Pronoun(Agreement(2, False, Gender.MASCULINE), False)
WE = Pronoun(Agreement(1, True, Gender.MASCULINE), False)
MODAL: dict[str, Modal] = {modal.english: modal for modal in MODALS}


def clause(subject: Nominal, infinitive: str, *, tense: Tense = PRESENT, preterite: str = "", **more) -> Clause:
    options = {key: more.pop(key) for key in ("modal", "gladly") if key in more}
    return Clause(verb=VerbPhrase(verb(infinitive, preterite), tense, **options), subject=subject, **more)


def being(subject: Nominal, english: str, german: str, tense: Tense = PRESENT) -> Clause:
    return Clause(verb=VerbPhrase(BE, tense), subject=subject, prepositional=(fragment(english, german),))


def with_not(given: Clause) -> Clause:
    return replace(given, verb=replace(given.verb, negation=Leaf(), nicht=True))


def where(english: str, german: str, case: Case, nominal: Nominal) -> Fragment:
    return prepositional_phrase(english=english, german_preposition=german, case=case, nominal=nominal)


def both(given: Fragment, end: str = ".") -> tuple[str, str]:
    return line(given.english, end).text, line(given.german.words, end).text


def closing(given: Clause, english: str, german: str) -> Fragment:
    return dependent(given, fragment(english, german))


def related(noun: NounPhrase, make) -> NounPhrase:
    return replace(noun, relative=dependent(make(RelativePronoun(noun.noun, noun.many)), None))


TIME = chunks("yesterday=gestern")

STATEMENTS = [
    (clause(the("man"), "kaufen", accusative=a("book")), "The man buys a book.", "Der Mann kauft ein Buch."),
    # the verb stays second
    (
        clause(the("man"), "kaufen", tense=PAST, accusative=a("book"), time=TIME, front=Slot.TIME),
        "Yesterday the man bought a book.",
        "Gestern kaufte der Mann ein Buch.",
    ),
    (
        clause(the("woman"), "lesen", accusative=a("book"), place=where("in", "in", Case.DATIVE, the("garden")),
               front=Slot.PLACE),
        "In the garden the woman reads a book.",
        "Im Garten liest die Frau ein Buch.",
    ),
    # separable verbs
    (
        clause(the("woman"), "einschalten", accusative=the("lamp"), time=chunks("in+the=am evening=Abend")),
        "The woman turns on the lamp in the evening.",
        "Die Frau schaltet am Abend die Lampe ein.",
    ),
    (
        clause(the("train"), "abfahren", tense=PERFECT),
        "The train has departed.",
        "Der Zug ist abgefahren.",
    ),
    # perfect and past perfect
    (
        clause(the("child"), "essen", tense=PERFECT, accusative=the("apple"), frequency=chunks("already=schon")),
        "The child has already eaten the apple.",
        "Das Kind hat schon den Apfel gegessen.",
    ),
    (
        clause(WE, "fahren", tense=PLUPERFECT, prepositional=(where("to", "zu", Case.DATIVE, the("station")),)),
        "We had driven to the station.",
        "Wir waren zum Bahnhof gefahren.",
    ),
    # future
    (
        clause(I, "besuchen", tense=FUTURE, accusative=Name("Anna", Gender.FEMININE),
               time=chunks("tomorrow=morgen"), front=Slot.TIME),
        "Tomorrow I will visit Anna.",
        "Morgen werde ich Anna besuchen.",
    ),
    # modal verbs
    (
        clause(the("boy"), "waschen", modal=MODAL["must"], accusative=the("car")),
        "The boy must wash the car.",
        "Der Junge muss das Auto waschen.",
    ),
    (
        clause(the("students"[:-1]), "lernen", tense=PAST, modal=MODAL["want"],
               accusative=NounPhrase(NOUNS["German"], BARE, False)),
        "The student wanted to learn German.",
        "Der Student wollte Deutsch lernen.",
    ),
    (
        clause(WE, "anrufen", modal=MODAL["would"], accusative=the("doctor")),
        "We would like to call the doctor.",
        "Wir möchten den Arzt anrufen.",
    ),
    (
        clause(he(), "schwimmen", gladly=True, place=where("in", "in", Case.DATIVE, the("lake"))),
        "He likes to swim in the lake.",
        "Er schwimmt gern im See.",
    ),
    # negation
    (
        with_not(clause(he(), "kaufen", accusative=the("book"), time=chunks("today=heute"))),
        "He does not buy the book today.",
        "Er kauft heute das Buch nicht.",
    ),
    (
        with_not(clause(he(), "warten", tense=PERFECT,
                        prepositional=(where("for", "auf", Case.ACCUSATIVE, the("bus")),))),
        "He has not waited for the bus.",
        "Er hat nicht auf den Bus gewartet.",
    ),
    (with_not(clause(YOU, "kommen", modal=MODAL["can"])), "You cannot come.", "Du kannst nicht kommen."),
    (with_not(being(the("lamp"), "new", "neu")), "The lamp is not new.", "Die Lampe ist nicht neu."),
    # order of objects
    (
        clause(the("woman"), "geben", dative=the("child"), accusative=the("book")),
        "The woman gives the child the book.",
        "Die Frau gibt dem Kind das Buch.",
    ),
    (
        clause(the("woman"), "geben", dative=a("child"), accusative=the("book")),
        "The woman gives the book to a child.",
        "Die Frau gibt das Buch einem Kind.",
    ),
    (
        clause(the("woman"), "geben", dative=he(), accusative=Pronoun(Agreement(3, False, Gender.MASCULINE), True)),
        "The woman gives it to him.",
        "Die Frau gibt ihn ihm.",
    ),
    (
        clause(he(), "geben", dative=the("child"), accusative=Pronoun(Agreement(3, False, Gender.NEUTER), True)),
        "He gives it to the child.",
        "Er gibt es dem Kind.",
    ),
    (clause(he(Gender.FEMININE), "helfen", dative=I), "She helps me.", "Sie hilft mir."),
    (
        clause(the("farmer"), "zuhören", dative=the("neighbour")),
        "The farmer listens to the neighbour.",
        "Der Bauer hört dem Nachbarn zu.",
    ),
    (
        clause(he(), "einschalten", accusative=Pronoun(Agreement(3, False, Gender.FEMININE), True)),
        "He turns it on.",
        "Er schaltet sie ein.",
    ),
    # time, manner, place
    (
        clause(he(), "arbeiten", manner=fragment("alone", "allein"), time=chunks("on=am Monday=Montag"),
               place=where("in", "in", Case.DATIVE, the("kitchen"))),
        "He works alone in the kitchen on Monday.",
        "Er arbeitet am Montag allein in der Küche.",
    ),
    # reflexive verbs
    (
        clause(I, "freuen", prepositional=(where("to", "auf", Case.ACCUSATIVE, the("party")),)),
        "I look forward to the party.",
        "Ich freue mich auf die Party.",
    ),
    (
        clause(the("girl"), "entschuldigen", tense=PAST, time=TIME, front=Slot.TIME,
               prepositional=(where("to", "bei", Case.DATIVE, the("teacher")),)),
        "Yesterday the girl apologized to the teacher.",
        "Gestern entschuldigte sich das Mädchen beim Lehrer.",
    ),
    # motion and rest
    (
        clause(the("cat"), "liegen", prepositional=(where("on", "auf", Case.DATIVE, the("table")),)),
        "The cat lies on the table.",
        "Die Katze liegt auf dem Tisch.",
    ),
    (
        clause(the("cat"), "springen", prepositional=(where("onto", "auf", Case.ACCUSATIVE, the("table")),)),
        "The cat jumps onto the table.",
        "Die Katze springt auf den Tisch.",
    ),
    (
        clause(he(), "hängen", preterite="hängte", tense=PAST, accusative=the("picture"),
               prepositional=(where("on", "an", Case.ACCUSATIVE, the("wall")),)),
        "He hung the picture on the wall.",
        "Er hängte das Bild an die Wand.",
    ),
    (
        clause(the("picture"), "hängen", preterite="hing", tense=PAST,
               prepositional=(where("on", "an", Case.DATIVE, the("wall")),)),
        "The picture hung on the wall.",
        "Das Bild hing an der Wand.",
    ),
    # coordination
    (
        clause(Pair(the("man"), the("woman")), "schlafen"),
        "The man and the woman sleep.",
        "Der Mann und die Frau schlafen.",
    ),
    (
        clause(the("man"), "kaufen", tense=PAST, accusative=a("book"), time=TIME, front=Slot.TIME,
               conjunct=(chunks("and=und"), clause(the("man"), "aufräumen", tense=PAST, accusative=the("room")))),
        "Yesterday the man bought a book and tidied up the room.",
        "Gestern kaufte der Mann ein Buch und räumte das Zimmer auf.",
    ),
    # subordinate clauses
    (
        clause(the("man"), "sagen",
               closing=(closing(clause(the("child"), "aufstehen", tense=PERFECT), "that", "dass"),)),
        "The man says that the child has got up.",
        "Der Mann sagt, dass das Kind aufgestanden ist.",
    ),
    (
        clause(he(), "schlafen", closing=(closing(being(he(), "tired", "müde"), "because", "weil"),)),
        "He sleeps because he is tired.",
        "Er schläft, weil er müde ist.",
    ),
    (
        clause(he(), "versuchen", closing=(infinitive(clause(he(), "einschalten", accusative=the("lamp")), None),)),
        "He tries to turn on the lamp.",
        "Er versucht, die Lampe einzuschalten.",
    ),
    (
        clause(I, "versprechen", dative=the("woman"),
               closing=(infinitive(clause(I, "ausruhen"), None),)),
        "I promise the woman to rest.",
        "Ich verspreche der Frau, mich auszuruhen.",
    ),
    (
        clause(he(), "gehen", prepositional=(chunks("home=nach+Hause"),),
               closing=(infinitive(clause(he(), "lesen", accusative=a("book")), fragment("in order", "um")),)),
        "He goes home in order to read a book.",
        "Er geht nach Hause, um ein Buch zu lesen.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "english", "german"), STATEMENTS, ids=[german for _, _, german in STATEMENTS])
def test_statements(given, english, german):
    assert both(statement(given)) == (english, german)


def test_kein_takes_the_place_of_not_and_a():
    car = NounPhrase(NOUNS["car"], ANY, False)
    given = clause(he(), "haben", accusative=car)
    given = replace(given, verb=replace(given.verb, negation=car.determiner_leaf))
    assert both(statement(given)) == ("He does not have a car.", "Er hat kein Auto.")
    result = statement(given)
    links = alignment(line(result.english, "."), line(result.german.words, "."))
    assert links == [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2), (5, 3)]


def test_kein_sondern():
    apple, pear = NounPhrase(NOUNS["apple"], ANY, False), NounPhrase(NOUNS["pear"], A, False)
    given = clause(he(), "essen", tense=PERFECT, accusative=Correction(apple, pear))
    given = replace(given, verb=replace(given.verb, negation=apple.determiner_leaf))
    assert both(statement(given)) == (
        "He has not eaten an apple but a pear.",
        "Er hat keinen Apfel, sondern eine Birne gegessen.",
    )


def test_a_clause_in_front_is_followed_by_the_verb():
    first = closing(clause(the("train"), "ankommen", tense=PAST), "when", "als")
    opening = Fragment((*first.english, COMMA), first.german)
    given = clause(the("man"), "aufwachen", tense=PAST, opening=opening, front=Slot.OPENING)
    assert both(statement(given)) == (
        "When the train arrived, the man woke up.",
        "Als der Zug ankam, wachte der Mann auf.",
    )


def test_several_verbs_at_the_end_of_a_subordinate_clause():
    inside = clause(the("man"), "einladen", modal=MODAL["want"], accusative=the("woman"))
    assert both(closing(inside, "that", "dass"), "")[1] == "Dass der Mann die Frau einladen will"
    inside = clause(the("man"), "freuen", prepositional=(where("to", "auf", Case.ACCUSATIVE, the("party")),))
    assert both(closing(inside, "that", "dass"), "")[1] == "Dass sich der Mann auf die Party freut"


RELATIVE_CLAUSES = [
    (
        related(the("man"), lambda who: clause(who, "arbeiten", place=where("in", "in", Case.DATIVE, the("garden")))),
        "the man who works in the garden",
        "der Mann, der im Garten arbeitet",
    ),
    (
        related(the("woman"), lambda whom: clause(he(), "kennen", accusative=whom, front=Slot.ACCUSATIVE)),
        "the woman whom he knows",
        "die Frau, die er kennt",
    ),
    (
        related(the("child"), lambda whom: clause(he(), "helfen", dative=whom, front=Slot.DATIVE)),
        "the child whom he helps",
        "das Kind, dem er hilft",
    ),
    (
        related(
            the("bus"),
            lambda which: clause(
                he(),
                "warten",
                prepositional=(where("for", "auf", Case.ACCUSATIVE, which),),
                front=Slot.PREPOSITIONAL,
            ),
        ),
        "the bus for which he waits",
        "der Bus, auf den er wartet",
    ),
    (
        related(
            the("friend"),
            lambda whom: clause(he(), "geben", dative=whom, accusative=the("key"), front=Slot.DATIVE),
        ),
        "the friend to whom he gives the key",
        "der Freund, dem er den Schlüssel gibt",
    ),
    (
        related(
            the("lamp"),
            lambda that: clause(he(), "einschalten", tense=PERFECT, accusative=that, front=Slot.ACCUSATIVE),
        ),
        "the lamp that he has turned on",
        "die Lampe, die er eingeschaltet hat",
    ),
    (
        related(
            the("woman"),
            lambda whose: being(RelativeOwner(whose.agreement, NOUNS["car"], False), "red", "rot"),
        ),
        "the woman whose car is red",
        "die Frau, deren Auto rot ist",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("noun", "english", "german"), RELATIVE_CLAUSES, ids=[german for _, _, german in RELATIVE_CLAUSES]
)
def test_relative_clauses(noun, english, german):
    given = being(noun, "tired", "müde")
    assert both(statement(given)) == (
        f"{english[0].upper()}{english[1:]} is tired.",
        f"{german[0].upper()}{german[1:]}, ist müde.",
    )


def test_a_relative_clause_moves_behind_the_verb_when_nothing_else_stands_between():
    book = related(the("book"), lambda that: being(that, "new", "neu"))
    assert both(statement(clause(he(), "lesen", tense=PERFECT, accusative=book))) == (
        "He has read the book that is new.",
        "Er hat das Buch gelesen, das neu ist.",
    )
    given = with_not(clause(he(), "lesen", accusative=book))
    assert both(statement(given))[1] == "Er liest das Buch nicht, das neu ist."
    given = clause(he(), "legen", accusative=book, prepositional=(where("on", "auf", Case.ACCUSATIVE, the("table")),))
    assert both(statement(given))[1] == "Er legt das Buch, das neu ist, auf den Tisch."


def test_no_contraction_before_a_relative_clause():
    house = related(the("house"), lambda that: being(that, "old", "alt"))
    given = clause(he(), "arbeiten", place=where("in", "in", Case.DATIVE, house))
    assert both(statement(given))[1] == "Er arbeitet in dem Haus, das alt ist."


QUESTIONS = [
    (clause(the("man"), "kaufen", accusative=a("book")), "Does the man buy a book?", "Kauft der Mann ein Buch?"),
    (clause(YOU, "kennen", accusative=the("man")), "Do you know the man?", "Kennst du den Mann?"),
    (being(he(), "tired", "müde"), "Is he tired?", "Ist er müde?"),
    (clause(the("train"), "ankommen", tense=PERFECT), "Has the train arrived?", "Ist der Zug angekommen?"),
    (clause(YOU, "helfen", modal=MODAL["can"], dative=I), "Can you help me?", "Kannst du mir helfen?"),
    (
        clause(YOU, "kaufen", accusative=Question(False), front=Slot.ACCUSATIVE),
        "What do you buy?",
        "Was kaufst du?",
    ),
    (
        clause(he(), "helfen", tense=PAST, dative=Question(True), front=Slot.DATIVE),
        "Whom did he help?",
        "Wem half er?",
    ),
    (
        clause(YOU, "gehen", opening=fragment("where", "wohin"), front=Slot.OPENING),
        "Where do you go?",
        "Wohin gehst du?",
    ),
    (
        clause(the("man"), "freuen", opening=fragment("why", "warum"), front=Slot.OPENING),
        "Why does the man look forward?",
        "Warum freut sich der Mann?",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "english", "german"), QUESTIONS, ids=[german for _, _, german in QUESTIONS])
def test_questions(given, english, german):
    assert both(question(given), "?") == (english, german)


def test_who_as_subject_needs_no_do():
    given = clause(Question(True), "kaufen", accusative=the("book"))
    assert both(statement(given), "?") == ("Who buys the book?", "Wer kauft das Buch?")


# ------------------------------------------------------------------------------------------------------- alignment


def links(given: Fragment) -> list[tuple[int, int]]:
    return alignment(line(given.english, "."), line(given.german.words, "."))


def test_both_halves_of_a_separable_verb_are_aligned():
    given = statement(clause(he(), "einschalten", accusative=the("lamp")))
    # He turns on the lamp. / Er schaltet die Lampe ein.
    assert links(given) == [(0, 0), (1, 1), (1, 4), (2, 1), (2, 4), (3, 2), (4, 3)]


def test_a_contraction_is_aligned_with_preposition_and_article():
    given = statement(clause(he(), "gehen", prepositional=(where("to", "zu", Case.DATIVE, the("station")),)))
    assert links(given) == [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3)]


def test_do_is_aligned_with_the_verb_and_not_with_nicht():
    given = statement(with_not(clause(he(), "schlafen")))
    assert links(given) == [(0, 0), (1, 1), (2, 2), (3, 1)]


def test_words_move_together_with_their_links():
    given = statement(clause(he(), "essen", tense=PERFECT, accusative=an_apple(), time=TIME, front=Slot.TIME))
    # Yesterday he has eaten a red apple. / Gestern hat er einen roten Apfel gegessen.
    assert links(given) == [(0, 0), (1, 2), (2, 1), (3, 6), (4, 3), (5, 4), (6, 5)]


def an_apple() -> NounPhrase:
    return a("apple", "red")


def test_punctuation_belongs_to_its_word_and_commas_do_not_pile_up():
    words = (*chunks("a=b").english, COMMA, COMMA, *chunks("c=d").english, COMMA)
    assert line(words, ".").tokens == ("A,", "c.")
    assert phrase(words).tail == ()

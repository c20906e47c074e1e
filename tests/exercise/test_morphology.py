"""Inflection, against forms written by hand."""

from __future__ import annotations

import pytest

from exercise.grammar.determiners import (
    ANY,
    BARE,
    EVERY,
    MANY,
    NO,
    POSSESSIVES,
    SOME,
    THE,
    THIS,
    WHICH,
    A,
    Degree,
    Determiner,
    attribute,
    ordinal,
)
from exercise.grammar.nominals import Name, NounPhrase, Role, prepositional_phrase
from exercise.grammar.pronouns import Pronoun, Question, RelativePronoun
from exercise.lexicon.adjectives import ADJECTIVES
from exercise.lexicon.noun_groups import GROUPS, group
from exercise.lexicon.nouns import NOUNS
from exercise.lexicon.verbs import BE, VERBS, Verb
from exercise.morphology.english import genitive, indefinite_article
from exercise.morphology.german import Case, Gender, personal_pronoun, reflexive_pronoun
from exercise.morphology.numerals import english_cardinal, english_ordinal, german_cardinal, german_ordinal


def text(words) -> str:
    return " ".join(word.text for word in words)


def german(noun: str, determiner: Determiner, case: Case, *adjectives: str, many: bool = False) -> str:
    attributes = tuple(attribute(ADJECTIVES[adjective], Degree.POSITIVE) for adjective in adjectives)
    return text(NounPhrase(NOUNS[noun], determiner, many, attributes=attributes).german(case).words)


def english(noun: str, determiner: Determiner, *adjectives: str, many: bool = False) -> str:
    attributes = tuple(attribute(ADJECTIVES[adjective], Degree.POSITIVE) for adjective in adjectives)
    return text(NounPhrase(NOUNS[noun], determiner, many, attributes=attributes).english(Role.SUBJECT))


# Nominative, accusative, dative, genitive.
DECLENSIONS = [
    ("man", THE, False, "der alte Mann / den alten Mann / dem alten Mann / des alten Mannes"),
    ("woman", THE, False, "die alte Frau / die alte Frau / der alten Frau / der alten Frau"),
    ("child", THE, False, "das alte Kind / das alte Kind / dem alten Kind / des alten Kindes"),
    ("man", THE, True, "die alten Männer / die alten Männer / den alten Männern / der alten Männer"),
    ("woman", THE, True, "die alten Frauen / die alten Frauen / den alten Frauen / der alten Frauen"),
    ("child", THE, True, "die alten Kinder / die alten Kinder / den alten Kindern / der alten Kinder"),
    ("man", A, False, "ein alter Mann / einen alten Mann / einem alten Mann / eines alten Mannes"),
    ("woman", A, False, "eine alte Frau / eine alte Frau / einer alten Frau / einer alten Frau"),
    ("child", A, False, "ein altes Kind / ein altes Kind / einem alten Kind / eines alten Kindes"),
    ("man", NO, True, "keine alten Männer / keine alten Männer / keinen alten Männern / keiner alten Männer"),
    ("man", BARE, True, "alte Männer / alte Männer / alten Männern / alter Männer"),
    ("car", BARE, True, "alte Autos / alte Autos / alten Autos / alter Autos"),
    ("student", THE, False, "der alte Student / den alten Studenten / dem alten Studenten / des alten Studenten"),
    ("neighbour", A, False, "ein alter Nachbar / einen alten Nachbarn / einem alten Nachbarn / eines alten Nachbarn"),
    ("boy", THE, True, "die alten Jungen / die alten Jungen / den alten Jungen / der alten Jungen"),
    ("house", POSSESSIVES["my"], False, "mein altes Haus / mein altes Haus / meinem alten Haus / meines alten Hauses"),
    ("house", POSSESSIVES["our"], True, "unsere alten Häuser / unsere alten Häuser / unseren alten Häusern / "
     "unserer alten Häuser"),
    ("hat", THIS, False, "dieser alte Hut / diesen alten Hut / diesem alten Hut / dieses alten Hutes"),
    ("bag", EVERY, False, "jede alte Tasche / jede alte Tasche / jeder alten Tasche / jeder alten Tasche"),
    ("book", WHICH, False, "welches alte Buch / welches alte Buch / welchem alten Buch / welches alten Buches"),
    ("car", SOME, True, "einige alte Autos / einige alte Autos / einigen alten Autos / einiger alter Autos"),
    ("bird", MANY, True, "viele alte Vögel / viele alte Vögel / vielen alten Vögeln / vieler alter Vögel"),
]  # fmt: skip


@pytest.mark.parametrize(("noun", "determiner", "many", "expected"), DECLENSIONS)
def test_articles_adjectives_and_nouns_agree(noun, determiner, many, expected):
    assert [german(noun, determiner, case, "old", many=many) for case in Case] == expected.split(" / ")


@pytest.mark.parametrize(
    ("noun", "adjective", "expected"),
    [
        ("coffee", "hot", "heißer Kaffee / heißen Kaffee / heißem Kaffee"),
        ("milk", "cold", "kalte Milch / kalte Milch / kalter Milch"),
        ("bread", "fresh", "frisches Brot / frisches Brot / frischem Brot"),
    ],
)
def test_strong_endings_without_an_article(noun, adjective, expected):
    cases = (Case.NOMINATIVE, Case.ACCUSATIVE, Case.DATIVE)
    assert [german(noun, BARE, case, adjective) for case in cases] == expected.split(" / ")


@pytest.mark.parametrize(
    ("noun", "determiner", "adjective", "expected"),
    [
        ("mountain", THE, "high", "der hohe Berg"),
        ("room", A, "dark", "ein dunkles Zimmer"),
        ("lamp", A, "expensive", "eine teure Lampe"),
        ("dog", A, "tired", "ein müder Hund"),
        ("dog", A, "angry", "ein wütender Hund"),
    ],
)
def test_adjectives_whose_stem_changes(noun, determiner, adjective, expected):
    assert german(noun, determiner, Case.NOMINATIVE, adjective) == expected


def test_comparative_superlative_and_ordinal_in_front_of_a_noun():
    adjective = ADJECTIVES["good"]
    best = NounPhrase(NOUNS["book"], THE, False, attributes=(attribute(adjective, Degree.SUPERLATIVE),))
    assert text(best.german(Case.DATIVE).words) == "dem besten Buch"
    assert text(best.english(Role.OBJECT)) == "the best book"
    third = NounPhrase(NOUNS["film"], THE, False, attributes=(ordinal(3),))
    assert text(third.german(Case.ACCUSATIVE).words) == "den dritten Film"
    assert text(third.english(Role.OBJECT)) == "the third film"


# Gender, genitive and plural of every noun whose declension is easily got wrong.
NOUN_FORMS = """
    man der Mann Mannes Männer
    woman die Frau Frau Frauen
    child das Kind Kindes Kinder
    girl das Mädchen Mädchens Mädchen
    boy der Junge Jungen Jungen
    farmer der Bauer Bauern Bauern
    customer der Kunde Kunden Kunden
    journalist der Journalist Journalisten Journalisten
    policeman der Polizist Polizisten Polizisten
    student der Student Studenten Studenten
    tourist der Tourist Touristen Touristen
    neighbour der Nachbar Nachbarn Nachbarn
    bear der Bär Bären Bären
    lion der Löwe Löwen Löwen
    monkey der Affe Affen Affen
    doctor der Arzt Arztes Ärzte
    mother die Mutter Mutter Mütter
    daughter die Tochter Tochter Töchter
    brother der Bruder Bruders Brüder
    mouse die Maus Maus Mäuse
    cow die Kuh Kuh Kühe
    horse das Pferd Pferdes Pferde
    bird der Vogel Vogels Vögel
    apple der Apfel Apfels Äpfel
    egg das Ei Eies Eier
    sausage die Wurst Wurst Würste
    potato die Kartoffel Kartoffel Kartoffeln
    book das Buch Buches Bücher
    letter der Brief Briefes Briefe
    poem das Gedicht Gedichts Gedichte
    coat der Mantel Mantels Mäntel
    shirt das Hemd Hemdes Hemden
    shoe der Schuh Schuhs Schuhe
    knife das Messer Messers Messer
    plate der Teller Tellers Teller
    key der Schlüssel Schlüssels Schlüssel
    picture das Bild Bildes Bilder
    glass das Glas Glases Gläser
    watch die Uhr Uhr Uhren
    cup die Tasse Tasse Tassen
    table der Tisch Tisches Tische
    chair der Stuhl Stuhles Stühle
    bed das Bett Bettes Betten
    shelf das Regal Regals Regale
    bus der Bus Busses Busse
    train der Zug Zuges Züge
    ship das Schiff Schiffes Schiffe
    plane das Flugzeug Flugzeugs Flugzeuge
    bicycle das Fahrrad Fahrrads Fahrräder
    station der Bahnhof Bahnhofs Bahnhöfe
    city die Stadt Stadt Städte
    village das Dorf Dorfes Dörfer
    museum das Museum Museums Museen
    forest der Wald Waldes Wälder
    lake der See Sees Seen
    river der Fluss Flusses Flüsse
    market der Markt Marktes Märkte
    hospital das Krankenhaus Krankenhauses Krankenhäuser
    door die Tür Tür Türen
    window das Fenster Fensters Fenster
    roof das Dach Daches Dächer
    wall die Wand Wand Wände
    tree der Baum Baumes Bäume
    exam die Prüfung Prüfung Prüfungen
    concert das Konzert Konzerts Konzerte
    game das Spiel Spiels Spiele
    secret das Geheimnis Geheimnisses Geheimnisse
    song das Lied Liedes Lieder
    plan der Plan Planes Pläne
    mistake der Fehler Fehlers Fehler
    question die Frage Frage Fragen
"""


@pytest.mark.parametrize("entry", NOUN_FORMS.strip().splitlines())
def test_genders_genitives_and_plurals(entry):
    english_singular, *expected = entry.split()
    noun = NOUNS[english_singular].german
    assert [("der", "die", "das")[noun.gender], noun.nominative, noun.genitive, noun.plural] == expected


def test_the_n_declension_is_that_of_these_nouns():
    weak = [
        "bear",
        "boy",
        "customer",
        "farmer",
        "journalist",
        "lion",
        "monkey",
        "neighbour",
        "policeman",
        "student",
        "tourist",
    ]
    assert sorted(name for name, noun in NOUNS.items() if noun.german.weak) == weak


def test_dative_plurals_end_in_n_unless_the_plural_ends_in_s():
    plurals = [noun.german for noun in NOUNS.values() if noun.countable]
    assert all(noun.form(Case.DATIVE, True)[-1] in "ns" for noun in plurals)
    assert {noun.plural for noun in plurals if noun.form(Case.DATIVE, True).endswith("s")} == {
        "Autos", "Kinos", "Hotels", "Parks", "Partys", "Pizzas", "Radios", "Restaurants", "Schals", "Sofas",
    }  # fmt: skip


def test_a_noun_without_plural_says_so():
    with pytest.raises(ValueError, match="Milch"):
        NOUNS["milk"].german.form(Case.NOMINATIVE, True)


def test_every_group_names_nouns_that_exist_and_none_twice():
    for name in GROUPS:
        nouns = group(name)
        assert nouns
        assert len(set(nouns)) == len(nouns), name


# ------------------------------------------------------------------------------------------------------------ verbs

# Infinitive: ich, du, er, sie (plural) / er, sie (plural) in the preterite / participle with auxiliary / with zu
VERB_FORMS = {
    "kaufen": "kaufe kaufst kauft kaufen / kaufte kauften / hat gekauft / zu kaufen",
    "arbeiten": "arbeite arbeitest arbeitet arbeiten / arbeitete arbeiteten / hat gearbeitet / zu arbeiten",
    "öffnen": "öffne öffnest öffnet öffnen / öffnete öffneten / hat geöffnet / zu öffnen",
    "finden": "finde findest findet finden / fand fanden / hat gefunden / zu finden",
    "warten": "warte wartest wartet warten / wartete warteten / hat gewartet / zu warten",
    "tanzen": "tanze tanzt tanzt tanzen / tanzte tanzten / hat getanzt / zu tanzen",
    "sitzen": "sitze sitzt sitzt sitzen / saß saßen / hat gesessen / zu sitzen",
    "reisen": "reise reist reist reisen / reiste reisten / ist gereist / zu reisen",
    "schließen": "schließe schließt schließt schließen / schloss schlossen / hat geschlossen / zu schließen",
    "essen": "esse isst isst essen / aß aßen / hat gegessen / zu essen",
    "lesen": "lese liest liest lesen / las lasen / hat gelesen / zu lesen",
    "sehen": "sehe siehst sieht sehen / sah sahen / hat gesehen / zu sehen",
    "geben": "gebe gibst gibt geben / gab gaben / hat gegeben / zu geben",
    "helfen": "helfe hilfst hilft helfen / half halfen / hat geholfen / zu helfen",
    "treffen": "treffe triffst trifft treffen / traf trafen / hat getroffen / zu treffen",
    "sprechen": "spreche sprichst spricht sprechen / sprach sprachen / hat gesprochen / zu sprechen",
    "vergessen": "vergesse vergisst vergisst vergessen / vergaß vergaßen / hat vergessen / zu vergessen",
    "waschen": "wasche wäschst wäscht waschen / wusch wuschen / hat gewaschen / zu waschen",
    "tragen": "trage trägst trägt tragen / trug trugen / hat getragen / zu tragen",
    "fahren": "fahre fährst fährt fahren / fuhr fuhren / ist gefahren / zu fahren",
    "laufen": "laufe läufst läuft laufen / lief liefen / ist gelaufen / zu laufen",
    "schlafen": "schlafe schläfst schläft schlafen / schlief schliefen / hat geschlafen / zu schlafen",
    "backen": "backe bäckst bäckt backen / backte backten / hat gebacken / zu backen",
    "gehen": "gehe gehst geht gehen / ging gingen / ist gegangen / zu gehen",
    "bleiben": "bleibe bleibst bleibt bleiben / blieb blieben / ist geblieben / zu bleiben",
    "schwimmen": "schwimme schwimmst schwimmt schwimmen / schwamm schwammen / ist geschwommen / zu schwimmen",
    "klettern": "klettere kletterst klettert klettern / kletterte kletterten / ist geklettert / zu klettern",
    "wissen": "weiß weißt weiß wissen / wusste wussten / hat gewusst / zu wissen",
    "mögen": "mag magst mag mögen / mochte mochten / hat gemocht / zu mögen",
    "kennen": "kenne kennst kennt kennen / kannte kannten / hat gekannt / zu kennen",
    "denken": "denke denkst denkt denken / dachte dachten / hat gedacht / zu denken",
    "bringen": "bringe bringst bringt bringen / brachte brachten / hat gebracht / zu bringen",
    "haben": "habe hast hat haben / hatte hatten / hat gehabt / zu haben",
    "reparieren": "repariere reparierst repariert reparieren / reparierte reparierten / hat repariert / zu reparieren",
    "besuchen": "besuche besuchst besucht besuchen / besuchte besuchten / hat besucht / zu besuchen",
    "einladen": "lade lädst lädt laden / lud luden / hat eingeladen / einzuladen",
    "anrufen": "rufe rufst ruft rufen / rief riefen / hat angerufen / anzurufen",
    "einschalten": "schalte schaltest schaltet schalten / schaltete schalteten / hat eingeschaltet / einzuschalten",
    "wegwerfen": "werfe wirfst wirft werfen / warf warfen / hat weggeworfen / wegzuwerfen",
    "aufstehen": "stehe stehst steht stehen / stand standen / ist aufgestanden / aufzustehen",
    "einschlafen": "schlafe schläfst schläft schlafen / schlief schliefen / ist eingeschlafen / einzuschlafen",
    "zurückkommen": "komme kommst kommt kommen / kam kamen / ist zurückgekommen / zurückzukommen",
    "versprechen": "verspreche versprichst verspricht versprechen / versprach versprachen / hat versprochen / "
    "zu versprechen",
}


def verb(infinitive: str) -> Verb:
    return next(verb for verb in VERBS if verb.german.whole_infinitive() == infinitive)


@pytest.mark.parametrize(("infinitive", "expected"), VERB_FORMS.items())
def test_verb_forms(infinitive, expected):
    german = verb(infinitive).german
    present, past, perfect, with_zu = expected.split(" / ")
    assert [german.present(person, False) for person in (1, 2, 3)] + [german.present(3, True)] == present.split()
    assert [german.past(3, False), german.past(3, True)] == past.split()
    assert f"{'ist' if german.with_sein else 'hat'} {german.participle}" == perfect
    assert german.zu_infinitive() == with_zu


def test_sein():
    forms = [BE.german.present(person, False) for person in (1, 2, 3)] + [BE.german.present(1, True)]
    assert forms == ["bin", "bist", "ist", "sind"]
    assert [BE.german.past(1, False), BE.german.past(3, True)] == ["war", "waren"]


def test_the_perfect_with_sein_is_that_of_these_verbs():
    with_sein = (
        "abfahren ankommen aufstehen aufwachen bleiben einschlafen fahren fliegen folgen gehen klettern kommen laufen "
        "reisen schwimmen springen zurückkommen"
    )
    assert sorted(verb.german.whole_infinitive() for verb in VERBS if verb.german.with_sein) == with_sein.split()


@pytest.mark.parametrize(
    ("infinitive", "expected"),
    [
        ("kaufen", "buy buys bought bought"),
        ("tragen", "carry carries carried carried"),
        ("waschen", "wash washes washed washed"),
        ("gehen", "go goes went gone"),
        ("haben", "have has had had"),
        ("spielen", "play plays played played"),
        ("schwimmen", "swim swims swam swum"),
        ("liegen", "lie lies lay lain"),
        ("legen", "put puts put put"),
        ("fliegen", "fly flies flew flown"),
    ],
)
def test_english_verb_forms(infinitive, expected):
    forms = verb(infinitive).english
    assert [forms.base, forms.present(3, False), forms.past, forms.participle] == expected.split()


# ----------------------------------------------------------------------------------------------- pronouns and others


def test_personal_pronouns():
    cases = (Case.NOMINATIVE, Case.ACCUSATIVE, Case.DATIVE)
    table = {
        (1, False, Gender.MASCULINE): "ich mich mir",
        (2, False, Gender.MASCULINE): "du dich dir",
        (3, False, Gender.MASCULINE): "er ihn ihm",
        (3, False, Gender.FEMININE): "sie sie ihr",
        (3, False, Gender.NEUTER): "es es ihm",
        (1, True, Gender.MASCULINE): "wir uns uns",
        (3, True, Gender.MASCULINE): "sie sie ihnen",
    }
    for agreement, expected in table.items():
        assert [personal_pronoun(*agreement, case) for case in cases] == expected.split()
    assert [reflexive_pronoun(*a) for a in ((1, False), (2, False), (3, False), (1, True), (3, True))] == (
        ["mich", "dich", "sich", "uns", "sich"]
    )


def test_relative_pronouns_agree_with_their_noun():
    expected = {
        ("man", False): "der den dem dessen",
        ("woman", False): "die die der deren",
        ("house", False): "das das dem dessen",
        ("woman", True): "die die denen deren",
    }
    for (noun, many), forms in expected.items():
        pronoun = RelativePronoun(NOUNS[noun], many)
        assert [text(pronoun.german(case).words) for case in Case] == forms.split()
    roles = (Role.SUBJECT, Role.OBJECT, Role.AFTER_PREPOSITION)
    assert [text(RelativePronoun(NOUNS["man"], False).english(role)) for role in roles] == ["who", "whom", "whom"]
    assert [text(RelativePronoun(NOUNS["car"], False).english(role)) for role in roles] == ["that", "that", "which"]


def test_it_is_er_sie_or_es():
    for noun, expected in (("table", "er ihn"), ("lamp", "sie sie"), ("book", "es es")):
        it = Pronoun(NounPhrase(NOUNS[noun], THE, False).agreement, True)
        assert text(it.english(Role.OBJECT)) == "it"
        assert [text(it.german(case).words) for case in (Case.NOMINATIVE, Case.ACCUSATIVE)] == expected.split()


def test_question_words():
    assert [text(Question(True).german(case).words) for case in (Case.NOMINATIVE, Case.ACCUSATIVE, Case.DATIVE)] == (
        ["wer", "wen", "wem"]
    )
    assert text(Question(False).german(Case.ACCUSATIVE).words) == "was"


@pytest.mark.parametrize(
    ("preposition", "case", "noun", "expected"),
    [
        ("in", Case.DATIVE, "garden", "im Garten"),
        ("in", Case.DATIVE, "kitchen", "in der Küche"),
        ("in", Case.ACCUSATIVE, "house", "ins Haus"),
        ("in", Case.ACCUSATIVE, "garden", "in den Garten"),
        ("an", Case.DATIVE, "river", "am Fluss"),
        ("an", Case.ACCUSATIVE, "sea", "ans Meer"),
        ("zu", Case.DATIVE, "station", "zum Bahnhof"),
        ("zu", Case.DATIVE, "school", "zur Schule"),
        ("von", Case.DATIVE, "market", "vom Markt"),
        ("bei", Case.DATIVE, "neighbour", "beim Nachbarn"),
        ("mit", Case.DATIVE, "train", "mit dem Zug"),
        ("wegen", Case.GENITIVE, "rain", "wegen des Regens"),
    ],
)
def test_contractions(preposition, case, noun, expected):
    nominal = NounPhrase(NOUNS[noun], THE, False)
    fragment = prepositional_phrase(english="", german_preposition=preposition, case=case, nominal=nominal)
    assert text(fragment.german.words) == expected


def test_possessors():
    of_teacher = NounPhrase(NOUNS["house"], THE, False, possessor=NounPhrase(NOUNS["teacher"], THE, False))
    assert text(of_teacher.english(Role.OBJECT)) == "the teacher's house"
    assert text(of_teacher.german(Case.DATIVE).words) == "dem Haus des Lehrers"
    old = (attribute(ADJECTIVES["old"], Degree.POSITIVE),)
    of_anna = NounPhrase(NOUNS["house"], THE, False, attributes=old, possessor=Name("Anna", Gender.FEMININE))
    assert text(of_anna.english(Role.OBJECT)) == "Anna's old house"
    assert text(of_anna.german(Case.DATIVE).words) == "Annas altem Haus"
    in_annas = prepositional_phrase(english="in", german_preposition="in", case=Case.DATIVE, nominal=of_anna)
    assert text(in_annas.german.words) == "in Annas altem Haus"
    roof = NounPhrase(NOUNS["roof"], THE, False, part_of=NounPhrase(NOUNS["house"], THE, False))
    assert text(roof.english(Role.OBJECT)) == "the roof of the house"
    assert text(roof.german(Case.ACCUSATIVE).words) == "das Dach des Hauses"


def test_english_noun_phrases():
    assert english("apple", A) == "an apple"
    assert english("apple", A, "red") == "a red apple"
    assert english("car", A, "old") == "an old car"
    assert english("university", A) == "a university"
    assert english("umbrella", A) == "an umbrella"
    assert english("milk", ANY) == "any milk"
    assert english("child", THIS, many=True) == "these children"
    assert indefinite_article("hour") == "an"
    assert [genitive("teacher", False), genitive("teachers", True), genitive("children", True)] == (
        ["teacher's", "teachers'", "children's"]
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, "one first eins erst"),
        (3, "three third drei dritt"),
        (7, "seven seventh sieben siebt"),
        (12, "twelve twelfth zwölf zwölft"),
        (16, "sixteen sixteenth sechzehn sechzehnt"),
        (17, "seventeen seventeenth siebzehn siebzehnt"),
        (20, "twenty twentieth zwanzig zwanzigst"),
        (21, "twenty-one twenty-first einundzwanzig einundzwanzigst"),
        (30, "thirty thirtieth dreißig dreißigst"),
    ],
)
def test_numbers(number, expected):
    forms = [english_cardinal(number), english_ordinal(number), german_cardinal(number), german_ordinal(number)]
    assert forms == expected.split()
    assert (english_cardinal(76), german_cardinal(76)) == ("seventy-six", "sechsundsiebzig")
    assert (english_cardinal(67), german_cardinal(67)) == ("sixty-seven", "siebenundsechzig")

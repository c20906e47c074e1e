"""The verbs: principal parts in both languages, and what each needs around it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from exercise.morphology.english import EnglishVerb, english_verb
from exercise.morphology.german import Case, GermanVerb, german_verb

CASES = {"acc": Case.ACCUSATIVE, "dat": Case.DATIVE}


@dataclass(frozen=True)
class PrepositionalObject:
    """A prepositional object: *wait for something* / *auf etwas warten*.

    Attributes:
        english: The English preposition, or "" for a plain object.
        german: The German preposition, or "" for a plain object.
        case: The German case.
        nouns: The group of nouns it takes.
    """

    english: str
    german: str
    case: Case
    nouns: str


@dataclass(frozen=True, eq=False)
class Verb:
    """A verb in both languages.

    Attributes:
        english: English principal parts.
        german: German principal parts.
        subject: Group of nouns that can be its subject.
        accusative: Group of the accusative object, or "".
        via: The English preposition before the accusative object (*look for it*), or "".
        dative: Group of the dative object, or "".
        dative_to: Whether English always says the dative with *to*.
        prepositional: The prepositional object.
        place: What place it needs: `live`, `thing`, `wall`, `seat`; or "".
        direction: What direction it needs: `go`, `fly`, `onto`, `put`, `place`, `hang`, `seat`, `from`; or "".
        clause: The clause it takes: `that`, `whether`, `to`; or "".
        state: Whether it is a state: no perfect, no modal verb, no manner.
        lasting: Whether it is an activity that can last for hours.
        home: Whether it is done at home rather than anywhere.
        accident: Whether it happens to somebody, who cannot want it, try it or be told to.
        benefit: Whether it may be done for somebody.
        fun: Whether one may like to do it (*gern*).
        water: Whether it is done in the water.
        manner: English adverbs of manner that suit it, `vehicle` for
            *by train* and the like, `company` for *with his sister*.
    """

    english: EnglishVerb
    german: GermanVerb
    subject: str
    accusative: str
    via: str
    dative: str
    dative_to: bool
    prepositional: PrepositionalObject | None
    place: str
    direction: str
    clause: str
    state: bool
    lasting: bool
    home: bool
    accident: bool
    benefit: bool
    fun: bool
    water: bool
    manner: tuple[str, ...]

    @property
    def tense_is_visible(self) -> bool:
        """Whether the English past differs from the base (*put* and *read* do not)."""
        return self.english.base != self.english.past


# English / German (perfect with haben unless it says sein) / what it needs. `on:` names the subjects, `acc:` and `dat:`
# the objects, `via:` an English preposition before the accusative object, `to-dat:` a dative that English always says
# with `to`, `prep:` English and German preposition, case and nouns of an object. Subjects are people by default.
TABLE = """
  buy bought bought / kaufen kauft kaufte gekauft / acc:goods manner:quickly benefit
  sell sold sold / verkaufen verkauft verkaufte verkauft / acc:goods
  eat ate eaten / essen isst aß gegessen / acc:edible manner:slowly,quickly fun
  drink drank drunk / trinken trinkt trank getrunken / acc:drink manner:slowly,quickly fun
  cook cooked cooked / kochen kocht kochte gekocht / acc:cookable home fun benefit
  bake baked baked / backen bäckt backte gebacken / acc:bakeable home fun benefit
  read read read / lesen liest las gelesen / acc:text manner:slowly,carefully fun
  write wrote written / schreiben schreibt schrieb geschrieben / acc:writable manner:quickly,carefully fun benefit
  see saw seen / sehen sieht sah gesehen / acc:visible on:animate accident
  hear heard heard / hören hört hörte gehört / acc:audible on:animate accident
  find found found / finden findet fand gefunden / acc:portable accident
  lose lost lost / verlieren verliert verlor verloren / acc:portable accident
  look looked looked / suchen sucht suchte gesucht / via:for acc:portable manner:patiently
  repair repaired repaired / reparieren repariert reparierte repariert / acc:repairable manner:carefully,quickly
  build built built / bauen baut baute gebaut / acc:buildable manner:quickly benefit
  paint painted painted / malen malt malte gemalt / acc:paintable manner:carefully fun benefit
  clean cleaned cleaned / putzen putzt putzte geputzt / acc:cleanable manner:carefully home
  wash washed washed / waschen wäscht wusch gewaschen / acc:washable manner:carefully home
  open opened opened / öffnen öffnet öffnete geöffnet / acc:openable manner:slowly,carefully
  close closed closed / schließen schließt schloss geschlossen / acc:closable manner:slowly,quietly
  turn turned turned on / ein-schalten schaltet schaltete eingeschaltet / acc:device
  turn turned turned off / aus-schalten schaltet schaltete ausgeschaltet / acc:device
  call called called / an-rufen ruft rief angerufen / acc:person
  invite invited invited / ein-laden lädt lud eingeladen / acc:person
  pick picked picked up / ab-holen holt holte abgeholt / acc:person
  bring brought brought along / mit-bringen bringt brachte mitgebracht / acc:givable
  try tried tried on / an-probieren probiert probierte anprobiert / acc:clothing
  take took taken off / aus-ziehen zieht zog ausgezogen / acc:clothing
  throw threw thrown away / weg-werfen wirft warf weggeworfen / acc:portable
  tidy tidied tidied up / auf-räumen räumt räumte aufgeräumt / acc:tidy manner:quickly,carefully
  prepare prepared prepared / vor-bereiten bereitet bereitete vorbereitet / acc:celebration manner:carefully benefit
  visit visited visited / besuchen besucht besuchte besucht / acc:person,visitable fun
  meet met met / treffen trifft traf getroffen / acc:person accident
  know knew known / kennen kennt kannte gekannt / acc:person,visitable state
  love loved loved / lieben liebt liebte geliebt / acc:person,cat,dog,horse state
  need needed needed / brauchen braucht brauchte gebraucht / acc:goods state
  have had had / haben hat hatte gehabt / acc:owned,idea,plan,problem,question state
  like liked liked / mögen mag mochte gemocht / acc:person,animal,food,staple,drink,text state
  carry carried carried / tragen trägt trug getragen / acc:object manner:carefully
  catch caught caught / fangen fängt fing gefangen / acc:catchable
  forget forgot forgotten / vergessen vergisst vergaß vergessen / acc:forgettable accident
  understand understood understood / verstehen versteht verstand verstanden / acc:knowable,person state
  learn learned learned / lernen lernt lernte gelernt / acc:language manner:quickly
  sing sang sung / singen singt sang gesungen / acc:song manner:loudly,quietly fun
  choose chose chosen / aus-wählen wählt wählte ausgewählt / acc:clothing,book,film,song,gift manner:carefully
  help helped helped / helfen hilft half geholfen / dat:person fun
  thank thanked thanked / danken dankt dankte gedankt / dat:person
  follow followed followed / folgen folgt folgte gefolgt sein / dat:animate on:animate manner:slowly,quietly
  reply replied replied / antworten antwortet antwortete geantwortet / to-dat:person manner:quietly
  listen listened listened / zu-hören hört hörte zugehört / to-dat:person manner:patiently,quietly
  belong belonged belonged / gehören gehört gehörte gehört / to-dat:person on:owned state
  give gave given / geben gibt gab gegeben / dat:person acc:givable
  show showed shown / zeigen zeigt zeigte gezeigt / dat:person acc:showable
  send sent sent / schicken schickt schickte geschickt / dat:person acc:sendable
  bring brought brought / bringen bringt brachte gebracht / dat:person acc:givable
  explain explained explained / erklären erklärt erklärte erklärt / to-dat:person acc:knowable manner:patiently
  tell told told / erzählen erzählt erzählte erzählt / dat:person acc:tellable
  wait waited waited / warten wartet wartete gewartet / prep:for,auf,acc,awaitable manner:patiently lasting
  think thought thought / denken denkt dachte gedacht / prep:of,an,acc,discussable,person
  talk talked talked / reden redet redete geredet / prep:about,über,acc,discussable,person
  speak spoke spoken / sprechen spricht sprach gesprochen / prep:with,mit,dat,person manner:quietly,loudly
  dream dreamed dreamed / träumen träumt träumte geträumt / prep:of,von,dat,dreamable
  laugh laughed laughed / lachen lacht lachte gelacht / prep:about,über,acc,funny manner:loudly accident
  play played played / spielen spielt spielte gespielt / prep:with,mit,dat,playful manner:quietly lasting fun
  dance danced danced / tanzen tanzt tanzte getanzt / prep:with,mit,dat,person fun
  look looked looked forward / sich freuen freut freute gefreut / prep:to,auf,acc,celebration state
  be was been interested / sich interessieren interessiert interessierte interessiert / prep:in,für,acc,hobby state
  be was been afraid / sich fürchten fürchtet fürchtete gefürchtet / prep:of,vor,dat,fearsome on:animate state
  remember remembered remembered / sich erinnern erinnert erinnerte erinnert / prep:-,an,acc,memorable state
  apologize apologized apologized / sich entschuldigen entschuldigt entschuldigte entschuldigt / prep:to,bei,dat,person
  sleep slept slept / schlafen schläft schlief geschlafen / on:animate manner:badly,quietly lasting
  work worked worked / arbeiten arbeitet arbeitete gearbeitet / manner:carefully,quickly,alone,company lasting
  laugh laughed laughed / lachen lacht lachte gelacht / manner:loudly accident
  dance danced danced / tanzen tanzt tanzte getanzt / manner:beautifully lasting fun
  sing sang sung / singen singt sang gesungen / on:person,bird manner:loudly,quietly,beautifully fun
  swim swam swum / schwimmen schwimmt schwamm geschwommen sein / on:person,dog manner:slowly,quickly water fun
  rest rested rested / sich aus-ruhen ruht ruhte ausgeruht / lasting
  get got got up / auf-stehen steht stand aufgestanden sein / manner:slowly,quickly
  wake woke woken up / auf-wachen wacht wachte aufgewacht sein / on:animate manner:slowly accident
  fall fell fallen asleep / ein-schlafen schläft schlief eingeschlafen sein / on:animate manner:quickly accident
  arrive arrived arrived / an-kommen kommt kam angekommen sein / on:arriving,person accident
  depart departed departed / ab-fahren fährt fuhr abgefahren sein / on:departing
  come came come back / zurück-kommen kommt kam zurückgekommen sein / direction:from manner:vehicle,company
  begin began begun / beginnen beginnt begann begonnen / on:schedule
  stay stayed stayed / bleiben bleibt blieb geblieben sein / place:stay
  live lived lived / wohnen wohnt wohnte gewohnt / place:live state
  stand stood stood / stehen steht stand gestanden / on:upright place:thing state
  lie lay lain / liegen liegt lag gelegen / on:layable,cat,dog place:thing state
  hang hung hung / hängen hängt hing gehangen / on:hangable place:wall state
  sit sat sat / sitzen sitzt saß gesessen / on:person,cat,dog place:seat lasting
  go went gone / gehen geht ging gegangen sein / direction:go manner:slowly,alone,company
  run ran run / laufen läuft lief gelaufen sein / on:child,boy,girl,dog,horse,fox,rabbit direction:go manner:quickly
  drive drove driven / fahren fährt fuhr gefahren sein / direction:drive manner:slowly,quickly,alone,company fun
  travel travelled travelled / reisen reist reiste gereist sein / direction:travel manner:alone,company,vehicle fun
  fly flew flown / fliegen fliegt flog geflogen sein / direction:travel
  jump jumped jumped / springen springt sprang gesprungen sein / on:cat,dog,monkey,child,boy,girl direction:onto
  climb climbed climbed / klettern klettert kletterte geklettert sein / on:cat,monkey,boy,girl,child direction:up
  come came come / kommen kommt kam gekommen sein / direction:from manner:vehicle,company
  sit sat sat down / sich setzen setzt setzte gesetzt / direction:seat manner:slowly,quietly
  put put put / legen legt legte gelegt / acc:layable direction:put manner:carefully
  place placed placed / stellen stellt stellte gestellt / acc:upright direction:put manner:carefully
  hang hung hung / hängen hängt hängte gehängt / acc:hangable direction:hang
  say said said / sagen sagt sagte gesagt / clause:that
  believe believed believed / glauben glaubt glaubte geglaubt / clause:that state
  know knew known / wissen weiß wusste gewusst / clause:that state
  hope hoped hoped / hoffen hofft hoffte gehofft / clause:that
  tell told told / erzählen erzählt erzählte erzählt / dat:person clause:that
  think thought thought / denken denkt dachte gedacht / clause:that
  ask asked asked / fragen fragt fragte gefragt / acc:person clause:whether
  try tried tried / versuchen versucht versuchte versucht / clause:to
  forget forgot forgotten / vergessen vergisst vergaß vergessen / clause:to accident
  decide decided decided / beschließen beschließt beschloss beschlossen / clause:to
  promise promised promised / versprechen verspricht versprach versprochen / dat:person clause:to
"""


def _prepositional(entry: str) -> PrepositionalObject:
    english, german, case, *nouns = entry.split(",")
    return PrepositionalObject(english.strip("-"), german.strip("-"), CASES[case], ",".join(nouns))


def _verb(row: str) -> Verb:
    english, german, needs = (column.strip() for column in row.split("/"))
    parts: defaultdict[str, str] = defaultdict(str)
    flags: set[str] = set()
    for need in needs.split():
        key, colon, value = need.partition(":")
        if colon:
            parts[key] = value
        else:
            flags.add(key)
    return Verb(
        english=english_verb(english),
        german=german_verb(german),
        subject=parts["on"] or "person",
        accusative=parts["acc"],
        via=parts["via"],
        dative=parts["to-dat"] or parts["dat"],
        dative_to=bool(parts["to-dat"]),
        prepositional=_prepositional(parts["prep"]) if parts["prep"] else None,
        place=parts["place"],
        direction=parts["direction"],
        clause=parts["clause"],
        state="state" in flags,
        lasting="lasting" in flags,
        home="home" in flags,
        accident="accident" in flags,
        benefit="benefit" in flags,
        fun="fun" in flags,
        water="water" in flags,
        manner=tuple(filter(None, parts["manner"].split(","))),
    )


VERBS: tuple[Verb, ...] = tuple(_verb(row) for row in TABLE.strip().splitlines())
"""Every verb but *be*."""

BE = _verb("be was been / sein ist war gewesen sein / state")
"""The copula."""

WEATHER = (
    _verb("be was been raining / regnen regnet regnete geregnet / state"),
    _verb("be was been snowing / schneien schneit schneite geschneit / state"),
)
"""Verbs of the weather, with *it*."""


# ---------------------------------------------------------------------------------------------------- modal verbs


@dataclass(frozen=True)
class Modal:
    """A modal verb.

    Attributes:
        english: `can`, or the base of a verb that needs *do* in questions, such as `want`.
        english_past: `could`, or ""; then it is used in the present only.
        link: What stands before the infinitive: `to`, or "".
        auxiliary: Whether it takes *not* and comes first in questions without *do*.
        german: Infinitive, as in the table of irregular presents.
        german_past: Preterite, or "".
        negatable: Whether its negation means the same in both languages.
    """

    english: str
    english_past: str
    link: str
    auxiliary: bool
    german: str
    german_past: str
    negatable: bool


MODALS: tuple[Modal, ...] = (
    Modal("can", "could", "", True, "können", "konnte", True),
    Modal("must", "", "", True, "müssen", "", False),
    Modal("have", "had", "to", False, "müssen", "musste", False),
    Modal("want", "wanted", "to", False, "wollen", "wollte", True),
    Modal("should", "", "", True, "sollten", "", True),
    Modal("may", "", "", True, "dürfen", "", True),
    Modal("would", "", "like to", True, "möchten", "", False),
)

"""The nouns: English singular and plural, German article, nominative, genitive and plural, by class of meaning.

An underscore stands for a space; ``-`` for a plural that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from nmt.exercise.german import Gender, GermanNoun

ARTICLES = {"der": Gender.MASCULINE, "die": Gender.FEMININE, "das": Gender.NEUTER}


@dataclass(frozen=True)
class Noun:
    """A noun in both languages and its class of meaning."""

    singular: str
    plural: str
    german: GermanNoun
    kind: str

    @property
    def countable(self) -> bool:
        return self.german.plural is not None

    def english(self, plural: bool) -> str:
        return self.plural if plural else self.singular


TABLES = {
    "person": """
        actress actresses die Schauspielerin Schauspielerin Schauspielerinnen
        artist artists der Künstler Künstlers Künstler
        aunt aunts die Tante Tante Tanten
        baker bakers der Bäcker Bäckers Bäcker
        boy boys der Junge Jungen Jungen
        brother brothers der Bruder Bruders Brüder
        chef chefs der Koch Kochs Köche
        child children das Kind Kindes Kinder
        colleague colleagues der Kollege Kollegen Kollegen
        customer customers der Kunde Kunden Kunden
        daughter daughters die Tochter Tochter Töchter
        doctor doctors der Arzt Arztes Ärzte
        engineer engineers der Ingenieur Ingenieurs Ingenieure
        farmer farmers der Bauer Bauern Bauern
        father fathers der Vater Vaters Väter
        friend friends der Freund Freundes Freunde
        gardener gardeners der Gärtner Gärtners Gärtner
        girl girls das Mädchen Mädchens Mädchen
        grandfather grandfathers der Großvater Großvaters Großväter
        grandmother grandmothers die Großmutter Großmutter Großmütter
        guest guests der Gast Gastes Gäste
        journalist journalists der Journalist Journalisten Journalisten
        judge judges der Richter Richters Richter
        king kings der König Königs Könige
        lady ladies die Dame Dame Damen
        lawyer lawyers der Anwalt Anwalts Anwälte
        man men der Mann Mannes Männer
        mother mothers die Mutter Mutter Mütter
        musician musicians der Musiker Musikers Musiker
        neighbour neighbours der Nachbar Nachbarn Nachbarn
        nurse nurses die Krankenschwester Krankenschwester Krankenschwestern
        painter painters der Maler Malers Maler
        policeman policemen der Polizist Polizisten Polizisten
        prince princes der Prinz Prinzen Prinzen
        pupil pupils der Schüler Schülers Schüler
        queen queens die Königin Königin Königinnen
        singer singers der Sänger Sängers Sänger
        sister sisters die Schwester Schwester Schwestern
        soldier soldiers der Soldat Soldaten Soldaten
        son sons der Sohn Sohnes Söhne
        student students der Student Studenten Studenten
        teacher teachers der Lehrer Lehrers Lehrer
        thief thieves der Dieb Diebes Diebe
        tourist tourists der Tourist Touristen Touristen
        uncle uncles der Onkel Onkels Onkel
        waiter waiters der Kellner Kellners Kellner
        waitress waitresses die Kellnerin Kellnerin Kellnerinnen
        woman women die Frau Frau Frauen
    """,
    "animal": """
        bear bears der Bär Bären Bären
        bird birds der Vogel Vogels Vögel
        cat cats die Katze Katze Katzen
        cow cows die Kuh Kuh Kühe
        dog dogs der Hund Hundes Hunde
        duck ducks die Ente Ente Enten
        elephant elephants der Elefant Elefanten Elefanten
        fox foxes der Fuchs Fuchses Füchse
        goat goats die Ziege Ziege Ziegen
        goose geese die Gans Gans Gänse
        horse horses das Pferd Pferdes Pferde
        lion lions der Löwe Löwen Löwen
        monkey monkeys der Affe Affen Affen
        mouse mice die Maus Maus Mäuse
        pig pigs das Schwein Schweins Schweine
        rabbit rabbits das Kaninchen Kaninchens Kaninchen
        wolf wolves der Wolf Wolfes Wölfe
    """,
    "food": """
        apple apples der Apfel Apfels Äpfel
        banana bananas die Banane Banane Bananen
        biscuit biscuits der Keks Kekses Kekse
        cake cakes der Kuchen Kuchens Kuchen
        carrot carrots die Karotte Karotte Karotten
        cherry cherries die Kirsche Kirsche Kirschen
        egg eggs das Ei Eies Eier
        onion onions die Zwiebel Zwiebel Zwiebeln
        orange oranges die Orange Orange Orangen
        pear pears die Birne Birne Birnen
        pizza pizzas die Pizza Pizza Pizzas
        potato potatoes die Kartoffel Kartoffel Kartoffeln
        sausage sausages die Wurst Wurst Würste
        soup soups die Suppe Suppe Suppen
        strawberry strawberries die Erdbeere Erdbeere Erdbeeren
        tomato tomatoes die Tomate Tomate Tomaten
    """,
    "staple": """
        bread - das Brot Brotes -
        butter - die Butter Butter -
        cheese - der Käse Käses -
        chocolate - die Schokolade Schokolade -
        fruit - das Obst Obstes -
        honey - der Honig Honigs -
        meat - das Fleisch Fleisches -
        rice - der Reis Reises -
    """,
    "drink": """
        beer - das Bier Bieres -
        coffee - der Kaffee Kaffees -
        juice - der Saft Saftes -
        lemonade - die Limonade Limonade -
        milk - die Milch Milch -
        tea - der Tee Tees -
        water - das Wasser Wassers -
        wine - der Wein Weines -
    """,
    "text": """
        article articles der Artikel Artikels Artikel
        book books das Buch Buches Bücher
        letter letters der Brief Briefes Briefe
        magazine magazines die Zeitschrift Zeitschrift Zeitschriften
        message messages die Nachricht Nachricht Nachrichten
        newspaper newspapers die Zeitung Zeitung Zeitungen
        novel novels der Roman Romans Romane
        poem poems das Gedicht Gedichts Gedichte
        report reports der Bericht Berichts Berichte
        story stories die Geschichte Geschichte Geschichten
    """,
    "clothing": """
        coat coats der Mantel Mantels Mäntel
        dress dresses das Kleid Kleides Kleider
        glove gloves der Handschuh Handschuhs Handschuhe
        hat hats der Hut Hutes Hüte
        jacket jackets die Jacke Jacke Jacken
        scarf scarves der Schal Schals Schals
        shirt shirts das Hemd Hemdes Hemden
        shoe shoes der Schuh Schuhs Schuhe
        skirt skirts der Rock Rockes Röcke
        sweater sweaters der Pullover Pullovers Pullover
    """,
    "object": """
        bag bags die Tasche Tasche Taschen
        ball balls der Ball Balles Bälle
        basket baskets der Korb Korbes Körbe
        blanket blankets die Decke Decke Decken
        bottle bottles die Flasche Flasche Flaschen
        box boxes die Kiste Kiste Kisten
        camera cameras die Kamera Kamera Kameras
        candle candles die Kerze Kerze Kerzen
        cup cups die Tasse Tasse Tassen
        flower flowers die Blume Blume Blumen
        fork forks die Gabel Gabel Gabeln
        gift gifts das Geschenk Geschenks Geschenke
        glass glasses das Glas Glases Gläser
        guitar guitars die Gitarre Gitarre Gitarren
        key keys der Schlüssel Schlüssels Schlüssel
        knife knives das Messer Messers Messer
        map maps die Landkarte Landkarte Landkarten
        mirror mirrors der Spiegel Spiegels Spiegel
        pencil pencils der Bleistift Bleistifts Bleistifte
        picture pictures das Bild Bildes Bilder
        plate plates der Teller Tellers Teller
        ring rings der Ring Ringes Ringe
        spoon spoons der Löffel Löffels Löffel
        suitcase suitcases der Koffer Koffers Koffer
        umbrella umbrellas der Regenschirm Regenschirms Regenschirme
        vase vases die Vase Vase Vasen
        watch watches die Uhr Uhr Uhren
    """,
    "device": """
        computer computers der Computer Computers Computer
        lamp lamps die Lampe Lampe Lampen
        machine machines die Maschine Maschine Maschinen
        oven ovens der Ofen Ofens Öfen
        radio radios das Radio Radios Radios
        television televisions der Fernseher Fernsehers Fernseher
    """,
    "furniture": """
        bed beds das Bett Bettes Betten
        bench benches die Bank Bank Bänke
        carpet carpets der Teppich Teppichs Teppiche
        chair chairs der Stuhl Stuhles Stühle
        cupboard cupboards der Schrank Schrankes Schränke
        desk desks der Schreibtisch Schreibtisches Schreibtische
        shelf shelves das Regal Regals Regale
        sofa sofas das Sofa Sofas Sofas
        table tables der Tisch Tisches Tische
    """,
    "vehicle": """
        bicycle bicycles das Fahrrad Fahrrads Fahrräder
        boat boats das Boot Bootes Boote
        bus buses der Bus Busses Busse
        car cars das Auto Autos Autos
        lorry lorries der Lastwagen Lastwagens Lastwagen
        plane planes das Flugzeug Flugzeugs Flugzeuge
        ship ships das Schiff Schiffes Schiffe
        taxi taxis das Taxi Taxis Taxis
        train trains der Zug Zuges Züge
        tram trams die Straßenbahn Straßenbahn Straßenbahnen
    """,
    "place": """
        airport airports der Flughafen Flughafens Flughäfen
        bakery bakeries die Bäckerei Bäckerei Bäckereien
        bathroom bathrooms das Badezimmer Badezimmers Badezimmer
        beach beaches der Strand Strandes Strände
        bridge bridges die Brücke Brücke Brücken
        castle castles das Schloss Schlosses Schlösser
        cellar cellars der Keller Kellers Keller
        church churches die Kirche Kirche Kirchen
        cinema cinemas das Kino Kinos Kinos
        city cities die Stadt Stadt Städte
        factory factories die Fabrik Fabrik Fabriken
        farm farms der Bauernhof Bauernhofs Bauernhöfe
        field fields das Feld Feldes Felder
        forest forests der Wald Waldes Wälder
        garden gardens der Garten Gartens Gärten
        hospital hospitals das Krankenhaus Krankenhauses Krankenhäuser
        hotel hotels das Hotel Hotels Hotels
        house houses das Haus Hauses Häuser
        island islands die Insel Insel Inseln
        kitchen kitchens die Küche Küche Küchen
        lake lakes der See Sees Seen
        library libraries die Bibliothek Bibliothek Bibliotheken
        market markets der Markt Marktes Märkte
        meadow meadows die Wiese Wiese Wiesen
        mountain mountains der Berg Berges Berge
        museum museums das Museum Museums Museen
        office offices das Büro Büros Büros
        park parks der Park Parks Parks
        restaurant restaurants das Restaurant Restaurants Restaurants
        river rivers der Fluss Flusses Flüsse
        room rooms das Zimmer Zimmers Zimmer
        school schools die Schule Schule Schulen
        sea - das Meer Meeres -
        shop shops der Laden Ladens Läden
        station stations der Bahnhof Bahnhofs Bahnhöfe
        street streets die Straße Straße Straßen
        theatre theatres das Theater Theaters Theater
        tower towers der Turm Turmes Türme
        university universities die Universität Universität Universitäten
        village villages das Dorf Dorfes Dörfer
    """,
    "part": """
        door doors die Tür Tür Türen
        roof roofs das Dach Daches Dächer
        tree trees der Baum Baumes Bäume
        wall walls die Wand Wand Wände
        window windows das Fenster Fensters Fenster
    """,
    "event": """
        break breaks die Pause Pause Pausen
        concert concerts das Konzert Konzerts Konzerte
        exam exams die Prüfung Prüfung Prüfungen
        film films der Film Films Filme
        game games das Spiel Spiels Spiele
        journey journeys die Reise Reise Reisen
        lecture lectures die Vorlesung Vorlesung Vorlesungen
        meal meals das Essen Essens Essen
        meeting meetings die Sitzung Sitzung Sitzungen
        party parties die Party Party Partys
        wedding weddings die Hochzeit Hochzeit Hochzeiten
    """,
    "thought": """
        idea ideas die Idee Idee Ideen
        mistake mistakes der Fehler Fehlers Fehler
        plan plans der Plan Planes Pläne
        problem problems das Problem Problems Probleme
        question questions die Frage Frage Fragen
        rule rules die Regel Regel Regeln
        secret secrets das Geheimnis Geheimnisses Geheimnisse
        song songs das Lied Liedes Lieder
    """,
    "language": """
        English - das Englisch Englischs -
        French - das Französisch Französischs -
        German - das Deutsch Deutschs -
        Italian - das Italienisch Italienischs -
        Russian - das Russisch Russischs -
        Spanish - das Spanisch Spanischs -
    """,
    "hobby": """
        art - die Kunst Kunst -
        football - der Fußball Fußballs -
        literature - die Literatur Literatur -
        music - die Musik Musik -
        politics - die Politik Politik -
        sport - der Sport Sports -
    """,
    "weather": """
        cold - die Kälte Kälte -
        heat - die Hitze Hitze -
        noise - der Lärm Lärms -
        rain - der Regen Regens -
        snow - der Schnee Schnees -
        storm - der Sturm Sturmes -
        traffic - der Verkehr Verkehrs -
        wind - der Wind Windes -
    """,
}


def _read(kind: str, table: str) -> dict[str, Noun]:
    nouns = {}
    for row in table.strip().splitlines():
        singular, plural, article, nominative, genitive, german_plural = row.replace("_", " ").split()
        german = GermanNoun(ARTICLES[article], nominative, genitive, None if german_plural == "-" else german_plural)
        nouns[singular] = Noun(singular, plural, german, kind)
    return nouns


KINDS: dict[str, tuple[Noun, ...]] = {kind: tuple(_read(kind, table).values()) for kind, table in TABLES.items()}
"""The nouns of each class of meaning."""

NOUNS: dict[str, Noun] = {noun.singular: noun for nouns in KINDS.values() for noun in nouns}
"""Every noun by its English singular."""

GROUPS = {
    "animate": "person animal",
    "anybody": "person animal",
    "goods": "food staple drink text clothing object device furniture vehicle",
    "portable": "text clothing object",
    "edible": "food staple",
    "cookable": "soup potato egg rice meat sausage",
    "bakeable": "cake bread pizza biscuit",
    "writable": "article book letter message novel poem report story",
    "paintable": "picture flower tree castle bridge mountain horse cat",
    "buildable": "house bridge tower church castle ship boat shelf cupboard table school",
    "washable": "clothing car apple cup plate glass dog bicycle carrot",
    "openable": "door window box suitcase bag bottle letter",
    "closable": "door window box suitcase bag",
    "repairable": "vehicle device watch camera roof door chair table bed",
    "tidy": "room kitchen cellar office house cupboard desk",
    "gettable": "letter message gift report map key",
    "sendable": "letter message gift picture report flower map",
    "givable": "object text apple banana pear orange",
    "hangable": "picture mirror map watch",
    "upright": "vase bottle lamp cup glass plate basket chair candle suitcase",
    "layable": "book newspaper letter magazine key knife fork spoon pencil blanket ring map camera hat scarf",
    "visitable": "museum castle city island university school factory village farm church",
    "catchable": "ball thief mouse rabbit bird",
    "knowable": "rule question problem story plan song poem",
    "tellable": "story secret",
    "forgettable": "key umbrella bag question rule gift hat suitcase",
    "discussable": "film book journey problem plan exam party wedding idea novel concert mistake",
    "awaitable": "person bus train taxi letter message",
    "dreamable": "journey sea wedding house garden island party",
    "fearsome": "bear lion wolf thief judge exam storm",
    "funny": "story mistake film idea",
    "celebration": "party journey wedding concert meal film",
    "schedule": "concert film game lecture meeting party wedding exam",
    "departing": "bus train ship tram",
    "arriving": "bus train ship tram taxi plane letter gift",
    "owned": "house car dog cat book bicycle computer umbrella garden bag watch camera horse boat",
    "professional": "doctor baker lawyer neighbour teacher farmer gardener",
    "profession": "artist baker chef doctor engineer farmer gardener journalist judge lawyer musician painter "
    "policeman singer soldier student teacher waiter pupil",
    "playful": "ball cat dog horse",
    "at_home": "bathroom garden house kitchen room cellar",
    "out": "airport beach bridge castle church cinema city factory farm field forest garden hospital hotel house island "
    "kitchen lake library market meadow museum office park restaurant river room school sea shop station street theatre "
    "university village",
    "living": "castle city farm hotel house island village",
    "staying": "castle city garden hospital hotel house kitchen library office room village",
    "swimming": "lake river sea",
    "walking": "airport bakery bathroom beach bridge castle cellar church cinema city factory farm field forest garden "
    "hospital hotel house kitchen lake library market meadow museum office park restaurant river room school shop "
    "station street theatre tower university village",
    "driving": "airport beach bakery castle church city factory farm forest hospital hotel lake library market museum "
    "office restaurant school sea station theatre university village",
    "travelling": "island sea city",
    "returning": "airport beach bakery church cinema city factory field forest hospital island lake library market "
    "meadow museum office park restaurant school sea station theatre university village",
    "surface": "table desk chair bed sofa shelf carpet bench cupboard",
    "beside": "table desk chair bed sofa shelf bench cupboard door window lamp tree",
    "inside": "box bag basket suitcase cupboard",
    "seat": "chair sofa bench bed carpet",
    "jumped_onto": "table chair bed sofa bench car horse wall desk",
    "climbed": "tree roof wall tower table mountain",
    "building": "house church school castle hotel museum theatre station restaurant tower library",
    "landmark": "house church school park lake station bridge market garden tower castle forest river",
    "visible": "person animal tower castle bridge tree vehicle film picture",
    "audible": "person dog bird radio song noise storm",
    "cleanable": "kitchen bathroom room window door table shoe car",
    "showable": "object text place clothing",
    "lendable": "book car bicycle bag umbrella camera guitar novel suitcase coat computer",
    "recommendable": "book film restaurant hotel novel museum wine doctor lawyer",
    "memorable": "person event house school place",
    "cared": "person animal garden house",
}
"""Groups that verbs choose from: classes of meaning and single nouns. See `group`."""


def group(names: str) -> tuple[Noun, ...]:
    """The nouns of a comma-separated list of classes of meaning, `GROUPS` and English singulars."""
    return tuple(noun for name in names.split(",") for noun in _named(name))


def _named(name: str) -> tuple[Noun, ...]:
    if name in KINDS:
        return KINDS[name]
    if name in GROUPS:
        return tuple(noun for part in GROUPS[name].split() for noun in _named(part))
    return (NOUNS[name],)

"""The nouns: English singular and plural, German article, nominative, genitive and plural, by class of meaning.

An underscore stands for a space; ``-`` for a plural that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from exercise.morphology.german import Gender, GermanNoun

ARTICLES = {"der": Gender.MASCULINE, "die": Gender.FEMININE, "das": Gender.NEUTER}


@dataclass(frozen=True, eq=False)
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
        artist artists der Künstler Künstlers Künstler
        baker bakers der Bäcker Bäckers Bäcker
        boy boys der Junge Jungen Jungen
        brother brothers der Bruder Bruders Brüder
        child children das Kind Kindes Kinder
        customer customers der Kunde Kunden Kunden
        daughter daughters die Tochter Tochter Töchter
        doctor doctors der Arzt Arztes Ärzte
        farmer farmers der Bauer Bauern Bauern
        father fathers der Vater Vaters Väter
        friend friends der Freund Freundes Freunde
        gardener gardeners der Gärtner Gärtners Gärtner
        girl girls das Mädchen Mädchens Mädchen
        grandfather grandfathers der Großvater Großvaters Großväter
        grandmother grandmothers die Großmutter Großmutter Großmütter
        journalist journalists der Journalist Journalisten Journalisten
        king kings der König Königs Könige
        man men der Mann Mannes Männer
        mother mothers die Mutter Mutter Mütter
        musician musicians der Musiker Musikers Musiker
        neighbour neighbours der Nachbar Nachbarn Nachbarn
        nurse nurses die Krankenschwester Krankenschwester Krankenschwestern
        policeman policemen der Polizist Polizisten Polizisten
        queen queens die Königin Königin Königinnen
        singer singers der Sänger Sängers Sänger
        sister sisters die Schwester Schwester Schwestern
        son sons der Sohn Sohnes Söhne
        student students der Student Studenten Studenten
        teacher teachers der Lehrer Lehrers Lehrer
        thief thieves der Dieb Diebes Diebe
        tourist tourists der Tourist Touristen Touristen
        uncle uncles der Onkel Onkels Onkel
        waiter waiters der Kellner Kellners Kellner
        woman women die Frau Frau Frauen
    """,
    "animal": """
        bear bears der Bär Bären Bären
        bird birds der Vogel Vogels Vögel
        cat cats die Katze Katze Katzen
        cow cows die Kuh Kuh Kühe
        dog dogs der Hund Hundes Hunde
        fox foxes der Fuchs Fuchses Füchse
        horse horses das Pferd Pferdes Pferde
        lion lions der Löwe Löwen Löwen
        monkey monkeys der Affe Affen Affen
        mouse mice die Maus Maus Mäuse
        rabbit rabbits das Kaninchen Kaninchens Kaninchen
    """,
    "food": """
        apple apples der Apfel Apfels Äpfel
        banana bananas die Banane Banane Bananen
        cake cakes der Kuchen Kuchens Kuchen
        cherry cherries die Kirsche Kirsche Kirschen
        egg eggs das Ei Eies Eier
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
        cheese - der Käse Käses -
        chocolate - die Schokolade Schokolade -
        fruit - das Obst Obstes -
        meat - das Fleisch Fleisches -
        rice - der Reis Reises -
    """,
    "drink": """
        coffee - der Kaffee Kaffees -
        juice - der Saft Saftes -
        milk - die Milch Milch -
        tea - der Tee Tees -
        water - das Wasser Wassers -
        wine - der Wein Weines -
    """,
    "text": """
        book books das Buch Buches Bücher
        letter letters der Brief Briefes Briefe
        message messages die Nachricht Nachricht Nachrichten
        newspaper newspapers die Zeitung Zeitung Zeitungen
        poem poems das Gedicht Gedichts Gedichte
        report reports der Bericht Berichts Berichte
        story stories die Geschichte Geschichte Geschichten
    """,
    "clothing": """
        coat coats der Mantel Mantels Mäntel
        glove gloves der Handschuh Handschuhs Handschuhe
        hat hats der Hut Hutes Hüte
        jacket jackets die Jacke Jacke Jacken
        scarf scarves der Schal Schals Schals
        shirt shirts das Hemd Hemdes Hemden
        shoe shoes der Schuh Schuhs Schuhe
        sweater sweaters der Pullover Pullovers Pullover
    """,
    "object": """
        bag bags die Tasche Tasche Taschen
        ball balls der Ball Balles Bälle
        bottle bottles die Flasche Flasche Flaschen
        box boxes die Kiste Kiste Kisten
        candle candles die Kerze Kerze Kerzen
        cup cups die Tasse Tasse Tassen
        flower flowers die Blume Blume Blumen
        gift gifts das Geschenk Geschenks Geschenke
        glass glasses das Glas Glases Gläser
        key keys der Schlüssel Schlüssels Schlüssel
        knife knives das Messer Messers Messer
        mirror mirrors der Spiegel Spiegels Spiegel
        picture pictures das Bild Bildes Bilder
        plate plates der Teller Tellers Teller
        ring rings der Ring Ringes Ringe
        suitcase suitcases der Koffer Koffers Koffer
        umbrella umbrellas der Regenschirm Regenschirms Regenschirme
        watch watches die Uhr Uhr Uhren
    """,
    "device": """
        computer computers der Computer Computers Computer
        lamp lamps die Lampe Lampe Lampen
        radio radios das Radio Radios Radios
        television televisions der Fernseher Fernsehers Fernseher
    """,
    "furniture": """
        bed beds das Bett Bettes Betten
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
        plane planes das Flugzeug Flugzeugs Flugzeuge
        ship ships das Schiff Schiffes Schiffe
        train trains der Zug Zuges Züge
    """,
    "place": """
        bathroom bathrooms das Badezimmer Badezimmers Badezimmer
        beach beaches der Strand Strandes Strände
        bridge bridges die Brücke Brücke Brücken
        church churches die Kirche Kirche Kirchen
        cinema cinemas das Kino Kinos Kinos
        city cities die Stadt Stadt Städte
        forest forests der Wald Waldes Wälder
        garden gardens der Garten Gartens Gärten
        hospital hospitals das Krankenhaus Krankenhauses Krankenhäuser
        hotel hotels das Hotel Hotels Hotels
        house houses das Haus Hauses Häuser
        kitchen kitchens die Küche Küche Küchen
        lake lakes der See Sees Seen
        library libraries die Bibliothek Bibliothek Bibliotheken
        market markets der Markt Marktes Märkte
        mountain mountains der Berg Berges Berge
        museum museums das Museum Museums Museen
        park parks der Park Parks Parks
        restaurant restaurants das Restaurant Restaurants Restaurants
        river rivers der Fluss Flusses Flüsse
        room rooms das Zimmer Zimmers Zimmer
        school schools die Schule Schule Schulen
        station stations der Bahnhof Bahnhofs Bahnhöfe
        street streets die Straße Straße Straßen
        university universities die Universität Universität Universitäten
        village villages das Dorf Dorfes Dörfer
    """,
    "sea": """
        sea - das Meer Meeres -
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
        party parties die Party Party Partys
        wedding weddings die Hochzeit Hochzeit Hochzeiten
    """,
    "thought": """
        idea ideas die Idee Idee Ideen
        mistake mistakes der Fehler Fehlers Fehler
        plan plans der Plan Planes Pläne
        problem problems das Problem Problems Probleme
        question questions die Frage Frage Fragen
        secret secrets das Geheimnis Geheimnisses Geheimnisse
        song songs das Lied Liedes Lieder
    """,
    "language": """
        English - das Englisch Englischs -
        French - das Französisch Französischs -
        German - das Deutsch Deutschs -
        Spanish - das Spanisch Spanischs -
    """,
    "hobby": """
        art - die Kunst Kunst -
        football - der Fußball Fußballs -
        music - die Musik Musik -
        sport - der Sport Sports -
    """,
    "weather": """
        cold - die Kälte Kälte -
        noise - der Lärm Lärms -
        rain - der Regen Regens -
        storm - der Sturm Sturmes -
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

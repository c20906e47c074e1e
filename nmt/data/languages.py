"""The table of languages: codes, names, scripts, and the facts that follow from the script.

The toolkit asks this table whenever a decision depends on a language: the unit of lengths in filters and reports, the
tokenizer of BLEU, the separator between sentences. All facts but codes and names follow from the script, so a language
that is not in the table gets the facts of the script that its text is written in.

Codes are those of ISO 639-1 and ISO 639-3. The aliases are bibliographic codes of ISO 639-2 (`ger`), codes of the main
member of a macrolanguage (`cmn`, `arb`), retired codes (`iw`) and codes of countries that people write by mistake
(`cn`). The general libraries for language codes have neither the spacing nor the tokenizer, and take 24 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from nmt.data.writing_systems import SCRIPT_BY_CODE, UNKNOWN_SCRIPT, Script, characters_of, main_script, scripts_of

LINES_TO_DETECT = 1_000
"""Lines that are looked at to detect the script of a text."""

LONGEST_MEAN_WORD = 30
"""Mean length of words in characters above which a text is taken for one without spaces."""

COUNTED_BY_CHARACTER = ("Kore", "Hang")
"""Scripts with spaces in which lengths are counted in characters: Korean attaches endings and particles to words."""
BLEU_TOKENIZERS = {
    **dict.fromkeys(("Hani", "Hans", "Hant", "Bopo"), "zh"),
    **dict.fromkeys(("Jpan", "Hira", "Kana"), "ja-mecab"),
    **dict.fromkeys(("Kore", "Hang"), "ko-mecab"),
}
"""sacreBLEU's tokenizers for a script. Other scripts without spaces get `char`, scripts with spaces `13a`."""


@dataclass(frozen=True)
class Language:
    """One language in one script.

    Attributes:
        code: ISO 639-1 code, or the ISO 639-3 code if there is no shorter one.
        alpha3: ISO 639-3 code; empty for a language that is not in the table.
        name: English name.
        script: ISO 15924 code of the script.
        aliases: Other codes of this language.
        mistake: The country code or other code that was written in place of `code`, if any.
    """

    code: str
    alpha3: str
    name: str
    script: str
    aliases: tuple[str, ...] = ()
    mistake: str | None = None

    @property
    def spaced(self) -> bool:
        """Whether spaces separate words."""
        return self._script.spaced

    @property
    def unit(self) -> Literal["words", "characters"]:
        """The unit in which lengths are counted."""
        return "words" if self.spaced and self.script not in COUNTED_BY_CHARACTER else "characters"

    @property
    def by_character(self) -> bool:
        """Whether lengths are counted in characters."""
        return self.unit == "characters"

    @property
    def separator(self) -> str:
        """What is written between two sentences: a space or nothing."""
        return self._script.separator

    @property
    def bleu_tokenizer(self) -> str:
        """The tokenizer of sacreBLEU. All but those of Japanese and Korean need no other package."""
        return BLEU_TOKENIZERS.get(self.script, "13a" if self.spaced else "char")

    @property
    def _script(self) -> Script:
        return SCRIPT_BY_CODE.get(self.script) or Script(self.script, self.script)


def _row(codes: str, name: str, script: str = "Latn", aliases: str = "") -> Language:
    code, _, alpha3 = codes.partition(" ")
    return Language(code, alpha3 or code, name, script, tuple(aliases.split()))


LANGUAGES = (
    # Europe
    _row("en eng", "English"),
    _row("de deu", "German", aliases="ger"),
    _row("fr fra", "French", aliases="fre"),
    _row("es spa", "Spanish"),
    _row("pt por", "Portuguese"),
    _row("it ita", "Italian"),
    _row("nl nld", "Dutch", aliases="dut"),
    _row("sv swe", "Swedish"),
    _row("da dan", "Danish"),
    _row("no nor", "Norwegian"),
    _row("nb nob", "Norwegian Bokmål"),
    _row("nn nno", "Norwegian Nynorsk"),
    _row("is isl", "Icelandic", aliases="ice"),
    _row("fo fao", "Faroese"),
    _row("fi fin", "Finnish"),
    _row("et est", "Estonian", aliases="ekk"),
    _row("lv lav", "Latvian", aliases="lvs"),
    _row("ltg", "Latgalian"),
    _row("lt lit", "Lithuanian"),
    _row("se sme", "Northern Sami"),
    _row("pl pol", "Polish"),
    _row("cs ces", "Czech", aliases="cze"),
    _row("sk slk", "Slovak", aliases="slo"),
    _row("sl slv", "Slovenian"),
    _row("hr hrv", "Croatian"),
    _row("bs bos", "Bosnian"),
    _row("sr srp", "Serbian", "Cyrl"),
    _row("sh hbs", "Serbo-Croatian"),
    _row("mk mkd", "Macedonian", "Cyrl", "mac"),
    _row("bg bul", "Bulgarian", "Cyrl"),
    _row("ru rus", "Russian", "Cyrl"),
    _row("uk ukr", "Ukrainian", "Cyrl"),
    _row("be bel", "Belarusian", "Cyrl"),
    _row("ro ron", "Romanian", aliases="rum mo mol"),
    _row("hu hun", "Hungarian"),
    _row("el ell", "Greek", "Grek", "gre"),
    _row("grc", "Ancient Greek", "Grek"),
    _row("sq sqi", "Albanian", aliases="alb als"),
    _row("mt mlt", "Maltese"),
    _row("ga gle", "Irish"),
    _row("gd gla", "Scottish Gaelic"),
    _row("gv glv", "Manx"),
    _row("cy cym", "Welsh", aliases="wel"),
    _row("kw cor", "Cornish"),
    _row("br bre", "Breton"),
    _row("eu eus", "Basque", aliases="baq"),
    _row("ca cat", "Catalan"),
    _row("gl glg", "Galician"),
    _row("oc oci", "Occitan"),
    _row("an arg", "Aragonese"),
    _row("ast", "Asturian"),
    _row("co cos", "Corsican"),
    _row("sc srd", "Sardinian", aliases="sro src"),
    _row("fur", "Friulian"),
    _row("lij", "Ligurian"),
    _row("lmo", "Lombard"),
    _row("vec", "Venetian"),
    _row("scn", "Sicilian"),
    _row("nap", "Neapolitan"),
    _row("rm roh", "Romansh"),
    _row("wa wln", "Walloon"),
    _row("lb ltz", "Luxembourgish"),
    _row("li lim", "Limburgish"),
    _row("fy fry", "Western Frisian"),
    _row("nds", "Low German"),
    _row("gsw", "Swiss German"),
    _row("af afr", "Afrikaans"),
    _row("hsb", "Upper Sorbian"),
    _row("dsb", "Lower Sorbian"),
    _row("szl", "Silesian"),
    _row("csb", "Kashubian"),
    _row("rue", "Rusyn", "Cyrl"),
    _row("yi yid", "Yiddish", "Hebr", "ji ydd"),
    _row("la lat", "Latin"),
    _row("eo epo", "Esperanto"),
    _row("ia ina", "Interlingua"),
    _row("io ido", "Ido"),
    # Caucasus, Turkic and Uralic languages, Central Asia
    _row("ka kat", "Georgian", "Geor", "geo"),
    _row("hy hye", "Armenian", "Armn", "arm"),
    _row("ab abk", "Abkhaz", "Cyrl"),
    _row("os oss", "Ossetian", "Cyrl"),
    _row("ce che", "Chechen", "Cyrl"),
    _row("av ava", "Avar", "Cyrl"),
    _row("tr tur", "Turkish"),
    _row("az aze", "Azerbaijani", aliases="azj"),
    _row("azb", "South Azerbaijani", "Arab"),
    _row("crh", "Crimean Tatar"),
    _row("gag", "Gagauz"),
    _row("tk tuk", "Turkmen"),
    _row("uz uzb", "Uzbek", aliases="uzn"),
    _row("kk kaz", "Kazakh", "Cyrl"),
    _row("ky kir", "Kyrgyz", "Cyrl"),
    _row("tt tat", "Tatar", "Cyrl"),
    _row("ba bak", "Bashkir", "Cyrl"),
    _row("cv chv", "Chuvash", "Cyrl"),
    _row("sah", "Yakut", "Cyrl"),
    _row("tyv", "Tuvan", "Cyrl"),
    _row("ug uig", "Uyghur", "Arab"),
    _row("mn mon", "Mongolian", "Cyrl", "khk"),
    _row("tg tgk", "Tajik", "Cyrl"),
    _row("kv kom", "Komi", "Cyrl", "kpv"),
    _row("udm", "Udmurt", "Cyrl"),
    _row("mhr", "Meadow Mari", "Cyrl", "chm"),
    _row("myv", "Erzya", "Cyrl"),
    # Near East and North Africa
    _row("ar ara", "Arabic", "Arab", "arb"),
    _row("arz", "Egyptian Arabic", "Arab"),
    _row("ary", "Moroccan Arabic", "Arab"),
    _row("apc", "Levantine Arabic", "Arab", "ajp"),
    _row("he heb", "Hebrew", "Hebr", "iw"),
    _row("fa fas", "Persian", "Arab", "per pes"),
    _row("prs", "Dari", "Arab"),
    _row("ps pus", "Pashto", "Arab", "pbt pbu pst"),
    _row("ku kur", "Kurdish", aliases="kmr"),
    _row("ckb", "Central Kurdish", "Arab"),
    _row("syr", "Syriac", "Syrc"),
    _row("tzm", "Central Atlas Tamazight", "Tfng", "ber"),
    _row("kab", "Kabyle"),
    _row("taq", "Tamasheq"),
    # Africa south of the Sahara
    _row("am amh", "Amharic", "Ethi"),
    _row("ti tir", "Tigrinya", "Ethi"),
    _row("om orm", "Oromo", aliases="gaz"),
    _row("so som", "Somali"),
    _row("aa aar", "Afar"),
    _row("sw swa", "Swahili", aliases="swh"),
    _row("yo yor", "Yoruba"),
    _row("ig ibo", "Igbo"),
    _row("ha hau", "Hausa"),
    _row("ff ful", "Fulah", aliases="fuv"),
    _row("kau", "Kanuri", aliases="knc"),  # its code `kr` is nearly always meant to be Korean: see MISTAKES
    _row("wo wol", "Wolof"),
    _row("bm bam", "Bambara"),
    _row("dyu", "Dyula"),
    _row("ee ewe", "Ewe"),
    _row("fon", "Fon"),
    _row("ak aka", "Akan"),
    _row("tw twi", "Twi"),
    _row("gaa", "Ga"),
    _row("mos", "Mossi"),
    _row("kbp", "Kabiye"),
    _row("bbj", "Ghomala"),
    _row("sg sag", "Sango"),
    _row("ln lin", "Lingala"),
    _row("kg kon", "Kongo"),
    _row("lua", "Luba-Kasai"),
    _row("lg lug", "Ganda"),
    _row("luo", "Luo"),
    _row("nus", "Nuer"),
    _row("din", "Dinka", aliases="dik"),
    _row("ki kik", "Kikuyu"),
    _row("kam", "Kamba"),
    _row("rw kin", "Kinyarwanda"),
    _row("rn run", "Rundi"),
    _row("ny nya", "Chichewa"),
    _row("bem", "Bemba"),
    _row("sn sna", "Shona"),
    _row("zu zul", "Zulu"),
    _row("xh xho", "Xhosa"),
    _row("ss ssw", "Swazi"),
    _row("nr nbl", "Southern Ndebele"),
    _row("nd nde", "Northern Ndebele"),
    _row("st sot", "Southern Sotho"),
    _row("nso", "Northern Sotho"),
    _row("tn tsn", "Tswana"),
    _row("ts tso", "Tsonga"),
    _row("ve ven", "Venda"),
    _row("umb", "Umbundu"),
    _row("cjk", "Chokwe"),
    _row("mg mlg", "Malagasy", aliases="plt"),
    _row("pcm", "Nigerian Pidgin"),
    _row("kea", "Kabuverdianu"),
    _row("mfe", "Mauritian Creole"),
    # South Asia
    _row("hi hin", "Hindi", "Deva"),
    _row("ur urd", "Urdu", "Arab"),
    _row("bn ben", "Bengali", "Beng"),
    _row("as asm", "Assamese", "Beng"),
    _row("pa pan", "Punjabi", "Guru"),
    _row("pnb", "Western Punjabi", "Arab"),
    _row("gu guj", "Gujarati", "Gujr"),
    _row("mr mar", "Marathi", "Deva"),
    _row("ne nep", "Nepali", "Deva", "npi"),
    _row("si sin", "Sinhala", "Sinh"),
    _row("or ori", "Odia", "Orya", "ory"),
    _row("ta tam", "Tamil", "Taml"),
    _row("te tel", "Telugu", "Telu"),
    _row("kn kan", "Kannada", "Knda"),
    _row("ml mal", "Malayalam", "Mlym"),
    _row("sa san", "Sanskrit", "Deva"),
    _row("sd snd", "Sindhi", "Arab"),
    _row("ks kas", "Kashmiri", "Arab"),
    _row("kok", "Konkani", "Deva", "gom"),
    _row("bho", "Bhojpuri", "Deva"),
    _row("mai", "Maithili", "Deva"),
    _row("mag", "Magahi", "Deva"),
    _row("awa", "Awadhi", "Deva"),
    _row("hne", "Chhattisgarhi", "Deva"),
    _row("doi", "Dogri", "Deva", "dgo"),
    _row("brx", "Bodo", "Deva"),
    _row("new", "Newar", "Deva"),
    _row("mni", "Manipuri", "Beng"),
    _row("sat", "Santali", "Olck"),
    _row("dv div", "Dhivehi", "Thaa"),
    # Scripts without spaces between words; Korean
    _row("zh zho", "Chinese", "Hans", "chi cmn"),
    _row("yue", "Cantonese", "Hant"),
    _row("wuu", "Wu Chinese", "Hans"),
    _row("nan", "Min Nan Chinese", "Hant"),
    _row("hak", "Hakka Chinese", "Hant"),
    _row("gan", "Gan Chinese", "Hans"),
    _row("hsn", "Xiang Chinese", "Hans"),
    _row("cdo", "Min Dong Chinese", "Hant"),
    _row("cjy", "Jin Chinese", "Hans"),
    _row("lzh", "Classical Chinese", "Hant"),
    _row("ja jpn", "Japanese", "Jpan"),
    _row("ko kor", "Korean", "Kore"),
    _row("th tha", "Thai", "Thai"),
    _row("lo lao", "Lao", "Laoo"),
    _row("km khm", "Khmer", "Khmr"),
    _row("my mya", "Burmese", "Mymr", "bur"),
    _row("shn", "Shan", "Mymr"),
    _row("mnw", "Mon", "Mymr"),
    _row("bo bod", "Tibetan", "Tibt", "tib"),
    _row("dz dzo", "Dzongkha", "Tibt"),
    # South-East Asia and the Pacific
    _row("vi vie", "Vietnamese"),
    _row("id ind", "Indonesian", aliases="in"),
    _row("ms msa", "Malay", aliases="may zsm zlm"),
    _row("jv jav", "Javanese", aliases="jw"),
    _row("su sun", "Sundanese"),
    _row("min", "Minangkabau"),
    _row("ace", "Acehnese"),
    _row("ban", "Balinese"),
    _row("bjn", "Banjar"),
    _row("bug", "Buginese"),
    _row("tl tgl", "Tagalog"),
    _row("fil", "Filipino"),
    _row("ceb", "Cebuano"),
    _row("ilo", "Ilocano"),
    _row("war", "Waray"),
    _row("pag", "Pangasinan"),
    _row("hil", "Hiligaynon"),
    _row("bcl", "Central Bikol", aliases="bik"),
    _row("tet", "Tetum"),
    _row("lus", "Mizo"),
    _row("kac", "Jingpho"),
    _row("hmn", "Hmong", aliases="hnj mww"),
    _row("za zha", "Zhuang"),
    _row("tpi", "Tok Pisin"),
    _row("bi bis", "Bislama"),
    _row("mi mri", "Maori", aliases="mao"),
    _row("sm smo", "Samoan"),
    _row("to ton", "Tongan"),
    _row("fj fij", "Fijian"),
    _row("ty tah", "Tahitian"),
    _row("haw", "Hawaiian"),
    # The Americas
    _row("gn grn", "Guarani", aliases="gug"),
    _row("qu que", "Quechua", aliases="quy quz"),
    _row("ay aym", "Aymara", aliases="ayr"),
    _row("nah", "Nahuatl", aliases="nhn nch"),
    _row("yua", "Yucatec Maya"),
    _row("quc", "K'iche'"),
    _row("oto", "Otomi", aliases="ote"),
    _row("hch", "Huichol"),
    _row("tar", "Tarahumara"),
    _row("shp", "Shipibo-Conibo"),
    _row("cni", "Asháninka"),
    _row("bzd", "Bribri"),
    _row("arn", "Mapudungun"),
    _row("ht hat", "Haitian Creole"),
    _row("pap", "Papiamento"),
    _row("nv nav", "Navajo"),
    _row("chr", "Cherokee", "Cher"),
    _row("cr cre", "Cree", "Cans"),
    _row("oj oji", "Ojibwa"),
    _row("iu iku", "Inuktitut", "Cans", "ike"),
    _row("kl kal", "Kalaallisut"),
)

MISTAKES = {
    **{"cn": "zh", "jp": "ja", "kr": "ko", "vn": "vi", "kh": "km", "mm": "my", "np": "ne", "bd": "bn", "ir": "fa"},
    **{"cz": "cs", "dk": "da", "gr": "el", "ua": "uk", "by": "be", "rs": "sr", "al": "sq", "ge": "ka", "kz": "kk"},
    **{"il": "he"},
}
"""Codes of countries that are often written for the language. `kr` is Kanuri in ISO 639-1."""

_BY_CODE = {code: row for row in LANGUAGES for code in (row.code, row.alpha3, *row.aliases)}
_BY_NAME = {row.name.casefold(): row for row in LANGUAGES}


def find_language(code: str, lines: Iterable[str] = ()) -> Language:
    """Return the language of a code. It never fails.

    Args:
        code: ISO 639-1 or 639-3, alone or with a script or region: `de`, `deu`, `pt_BR`, `zh-Hant`, `khm_Khmr`. A
            script in the code replaces the script of the table. English names are understood too.
        lines: Text in this language. For a code that is not in the table and names no script, the script is detected
            from the first lines; without lines (or with no clear result) the script is unknown, which counts as one
            with spaces.
    """
    first = re.split("[-_]", code.strip().lower())[0]
    found = _BY_CODE.get(first) or _BY_NAME.get(code.strip().casefold())
    if first in MISTAKES:
        found = replace(_BY_CODE[MISTAKES[first]], mistake=first)
    script = _named_script(code)
    if found is None:
        return Language(first, "", code, script or detect_script(lines))
    return found if script is None else replace(found, script=script)


def canonical_code(code: str) -> str:
    """Return a code as it is usually written: `en` for `ENG`, `pt-BR` for `pt_br`, `zh-Hant` for `cmn_hant`."""
    found, tags = find_language(code), re.split("[-_]", code.strip())[1:]
    usual = [tag.title() if len(tag) == 4 and tag.isalpha() else tag.upper() if len(tag) == 2 else tag for tag in tags]
    return "-".join([found.code, *usual])


def shown_code(code: str) -> str:
    """Return a code for messages: as it is usually written, with the given code if that is another one."""
    canonical = canonical_code(code)
    return canonical if canonical == code else f"{canonical} ({code})"


def are_same_pair(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two pairs of codes have the same languages, whatever their scripts, regions and spellings are."""
    return [find_language(code).code for code in one] == [find_language(code).code for code in other]


def _named_script(code: str) -> str | None:
    """Return the script that a code names."""
    subtags = re.split("[-_]", code.strip())[1:]
    return next((tag.title() for tag in subtags if len(tag) == 4 and tag.isalpha()), None)


def is_known_language(name: str) -> bool:
    """Whether a code (without script and region) or an English name is in the table."""
    return name.strip().lower() in _BY_CODE or name.strip().casefold() in _BY_NAME


def is_same_language(wanted: str, found: str) -> bool:
    """Whether a text in `found` serves for `wanted`: the same language, and no other script or region."""
    if find_language(wanted).code != find_language(found).code:
        return False
    wanted_tags, found_tags = _subtags(wanted), _subtags(found)
    return all(wanted_tags[kind] == found_tags[kind] for kind in wanted_tags.keys() & found_tags.keys())


def _subtags(code: str) -> dict[str, str]:
    """Return the script and the region of a code, as far as it has them."""
    found = {}
    for tag in re.split("[-_@.]", code)[1:]:
        if len(tag) == 4 and tag.isalpha():
            found["script"] = tag.lower()
        elif len(tag) == 2 and tag.isalpha():
            found["region"] = tag.lower()
    return found


def with_detected_script(code: str, lines: Iterable[str]) -> str:
    """Return a code that `find_language` knows the script of, for a text whose later readers have only the code.

    The script is added to a code that is not in the table, and to a code whose tokenizer cannot separate the words of
    the text: the text's script has no spaces between words, and the language has, or is Chinese or Japanese.

    Args:
        code: Any code. One that names a script is returned as it is.
        lines: Text in this language.
    """
    if _named_script(code):
        return code
    found, script = find_language(code), detect_script(lines)
    if script == UNKNOWN_SCRIPT:
        return code
    text = replace(found, script=script)
    fits = text.spaced or not (found.spaced or (text.bleu_tokenizer == "char" != found.bleu_tokenizer))
    if found.script != UNKNOWN_SCRIPT and fits:
        return code
    return f"{code.strip()}-{script}"


def counts_characters(code: str, lines: Sequence[str]) -> bool:
    """Whether lengths of a text are counted in characters: by its script, or because it has hardly any spaces.

    Args:
        code: Code of its language.
        lines: The text, or the first part of it.
    """
    if find_language(with_detected_script(code, lines)).by_character:
        return True
    words = [word for line in lines[:LINES_TO_DETECT] for word in line.split()]
    return sum(map(len, words)) > LONGEST_MEAN_WORD * max(1, len(words))


def detect_script(lines: Iterable[str]) -> str:
    """Return the ISO 15924 code of the script of a text's first lines; `UNKNOWN_SCRIPT` if none has half of it."""
    script = main_script(scripts_of(characters_of(islice(lines, LINES_TO_DETECT))))
    return UNKNOWN_SCRIPT if script is None else script.code

"""Languages as people write them (``tr``, ``tur``, ``tur_Latn``, ``zh-Hans``, Turkish) in one form.

The code is the one practitioners and data sets use: ISO 639-1 where the language has one, otherwise
ISO 639-3, with the individual languages that stand for a macrolanguage in corpora (``cmn``, ``arb``,
``swh``) folded into it.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import langcodes
import regex
from langcodes.data_dicts import LANGUAGE_ALPHA3

from probes.errors import InputError


@dataclass(frozen=True, slots=True)
class Language:
    """A language in the script it is written in.

    Attributes:
        code: ISO 639-1 if there is one, else ISO 639-3.
        name: in English.
        script: ISO 15924; the usual one where none was asked for.
        spaced: whether spaces separate words in that script.
    """

    code: str
    name: str
    script: str
    spaced: bool


UNSPACED_SCRIPTS = frozenset(
    {"Hans", "Hant", "Hani", "Hira", "Jpan", "Kana", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"}
)
"""Scripts written without spaces between words (Tibetan separates syllables instead)."""

_FOLDED = {
    # the individual language by which a macrolanguage is known in UD, FLORES and NTREX -> its code
    **{"als": "sq", "arb": "ar", "ayr": "ay", "azj": "az", "cmn": "zh", "ekk": "et", "fuc": "ff"},
    **{"fuv": "ff", "gaz": "om", "gug": "gn", "ike": "iu", "khk": "mn", "kmr": "ku", "knc": "kr"},
    **{"lvs": "lv", "nb": "no", "nob": "no", "npi": "ne", "ory": "or", "pbt": "ps", "pbu": "ps"},
    **{"pes": "fa", "plt": "mg", "quy": "qu", "quz": "qu", "src": "sc", "swh": "sw", "uzn": "uz"},
    **{"ydd": "yi", "zsm": "ms"},
    # kept apart by data sets although the registry merges them with a neighbour
    **{"hbs": "sh", "fil": "tl", "tgl": "tl"},
}
_AS_WRITTEN = frozenset({"sh", "tl"})
"""Codes in use that langcodes would replace (by ``sr-Latn`` and ``fil``)."""

_OTHER_NAMES = {
    **{"bengali": "bn", "bokmål": "no", "farsi": "fa", "filipino": "tl", "haitian": "ht"},
    **{"kurmanji": "ku", "mandarin": "zh", "panjabi": "pa", "sinhalese": "si", "western panjabi": "pnb"},
}
_USUAL_SCRIPT = {"azb": "Arab"}
"""Where CLDR's likely subtags are wrong: azb is the Iranian variety of Azerbaijani."""

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_LOCALE = re.compile(r"([A-Za-z]{2,3})([_-][A-Za-z0-9_-]+)?(?:\.[\w-]+)?(?:@([\w-]+))?")
"""As glibc and gettext write locales: language, region, encoding, modifier."""
_MODIFIER_SCRIPTS = {
    **{"latin": "Latn", "latn": "Latn", "iqtelif": "Latn", "cyrillic": "Cyrl", "cyrl": "Cyrl"},
    **{"devanagari": "Deva", "arabic": "Arab", "hans": "Hans", "hant": "Hant", "hebrew": "Hebr"},
}
"""Modifiers that state a script; others (``valencia``, ``euro``) say nothing of the language."""


def parse_language(text: str) -> Language:
    """Read a language code, tag or English name in any common form.

    Args:
        text: ``tr``, ``tur``, ``tur_Latn``, ``zh-Hans``, ``pt-BR``, ``EN``, ``sr_RS.UTF-8@latin`` or
            ``Turkish``. Region, variant and encoding are dropped; a script, stated or implied by the region
            (``zh-TW``), is kept.

    Raises:
        InputError: if no language is known by that code or name; the message suggests the closest.
    """
    typed = _without_modifier(text.strip()).replace("_", "-")
    language = (_from_tag(typed) if _TAG.fullmatch(typed) else None) or _from_name(text.strip())
    if language is None:
        close = _suggestions(text.strip())
        hint = f"perhaps you mean {' or '.join(close)}; " if close else ""
        raise InputError(
            f"No language is called '{text}': {hint}any ISO 639 code such as tr or tur_Latn will do."
        )
    return language


def refuse_same(source: Language, target: Language) -> None:
    """Refuse one language, in whatever scripts, as both sides of a question.

    Raises:
        InputError: if they are the same.
    """
    if source.code == target.code:
        raise InputError(
            f"Source and target are both {target.name}: name the language the model is to be used in, which "
            "must differ from that of the labelled data."
        )


def _without_modifier(text: str) -> str:
    """A locale as a tag: ``sr-Latn-RS`` for ``sr_RS.UTF-8@latin``; other text as it is."""
    head, _, tail = text.replace("_", "-").rpartition("-")
    if len(tail) > 4 and tail.casefold() in _MODIFIER_SCRIPTS:
        text = f"{head}@{tail}"
    locale = _LOCALE.fullmatch(text)
    if locale is None or not (locale[3] or "." in text):
        return text
    script = _MODIFIER_SCRIPTS.get((locale[3] or "").casefold())
    return "-".join(part for part in (locale[1], script, (locale[2] or "").strip("_-")) if part)


def _from_tag(tag: str) -> Language | None:
    primary, _, rest = tag.partition("-")
    code = _FOLDED.get(primary.lower(), primary.lower())
    try:
        parsed = langcodes.Language.get(f"{code}-{rest}" if rest else code)
    except ValueError:
        return None
    if parsed.language is None or not parsed.is_valid() or not _is_one_language(parsed.language):
        return None
    if code not in _AS_WRITTEN:
        code = _FOLDED.get(parsed.language, parsed.language)
    # a region can imply a script: zh-TW is written in Hant, az-IR in Arab
    return _language(code, parsed.script or (parsed.maximize().script if parsed.territory else None))


def _from_name(name: str) -> Language | None:
    code = _OTHER_NAMES.get(name.casefold())
    if code:
        return _language(code)
    for spoken in ("en", None):  # its English name first: names of other languages collide
        try:
            match = langcodes.Language.find_name("language", name, spoken)
            # langcodes also takes a text that merely begins with a name; only the whole name will do here
            names = (match.language_name(), match.display_name(), match.autonym())
        except (LookupError, ValueError, SystemError):  # its search tree fails in all these ways on odd text
            continue
        if match.language and _name_key(name) in map(_name_key, names):
            return _language(_FOLDED.get(match.language, match.language), match.script)
    return None


def _name_key(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", name.casefold()))


def _is_one_language(code: str) -> bool:
    name = langcodes.Language.make(language=code).language_name().casefold()
    # collections (Turkic languages), private-use and special codes are all valid tags
    return not name.startswith("unknown") and not name.endswith(("languages", "no linguistic content"))


def _language(code: str, script: str | None = None) -> Language:
    plain = langcodes.Language.make(language=code)
    script = script or _USUAL_SCRIPT.get(code) or plain.maximize().script or "Zyyy"
    return Language(code, plain.language_name(), script, script not in UNSPACED_SCRIPTS)


def _suggestions(text: str) -> list[str]:
    """Languages that may have been meant, as ``Turkish (tr)``."""
    codes: list[str] = []
    if len(text) == 2:  # a country's code instead of its language's
        country = langcodes.Language.make(territory=text.upper())
        if country.is_valid():
            codes.append(country.maximize().language or "")
    by_name = {name.casefold(): code for code, name in _two_letter_languages().items()}
    codes += [by_name[name] for name in get_close_matches(text.casefold(), by_name, n=2, cutoff=0.65)]
    return [f"{_language(code).name} ({code})" for code in codes if code]


@cache
def _two_letter_languages() -> dict[str, str]:
    codes = (code for code in LANGUAGE_ALPHA3 if len(code) == 2)
    folded = sorted({_FOLDED.get(code, code) for code in codes})
    return {code: _language(code).name for code in folded if _is_one_language(code)}


_SCRIPTS = (
    "Latn Cyrl Arab Hani Hira Kana Hang Deva Adlm Armn Bali Bamu Batk Beng Bopo Bugi Buhd Cakm Cans "
    "Cham Cher Copt Dsrt Ethi Geor Goth Grek Gujr Guru Hano Hebr Java Kali Khmr Knda Laoo Lepc Limb "
    "Lisu Mand Mlym Mong Mtei Mymr Nkoo Ogam Olck Orya Osge Osma Plrd Rjng Runr Samr Saur Sinh Sund "
    "Sylo Syrc Tagb Taml Telu Tfng Tglg Thaa Thai Tibt Vaii Wcho Yiii"
)


def script_of(text: str) -> str:
    """The script most letters of ``text`` are in.

    Returns:
        An ISO 15924 code; ``Zyyy`` (undetermined) without a single letter of a known script. Chinese
        characters with kana count as ``Jpan``, with Hangul as ``Kore``; alone they are ``Hani``, because
        single characters do not say whether the text is in simplified or traditional script.
    """
    counts = Counter(map(_script_of_character, text))
    del counts["Zyyy"]
    kana = counts["Hira"] + counts["Kana"]
    # Han characters outnumber kana or Hangul in many headlines, but never occur with them in Chinese.
    if kana:
        counts["Jpan"] = kana + counts.pop("Hani", 0)
        del counts["Hira"], counts["Kana"]
    elif counts["Hang"]:
        counts["Kore"] = counts.pop("Hang") + counts.pop("Hani", 0)
    top = max(counts.values(), default=0)
    return min((script for script, count in counts.items() if count == top > 0), default="Zyyy")


@cache
def _script_of_character(character: str) -> str:
    if unicodedata.category(character)[0] not in "LM":
        return "Zyyy"
    return next((code for code, script in _patterns().items() if script.match(character)), "Zyyy")


@cache
def _patterns() -> dict[str, regex.Pattern[str]]:
    return {code: regex.compile(rf"\p{{Script={code}}}") for code in _SCRIPTS.split()}

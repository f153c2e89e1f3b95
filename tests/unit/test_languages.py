import langcodes
import pytest

from probes.errors import InputError
from probes.languages import Language, parse_language, script_of

# every language the evidence speaks of, by the script it is usually written in
EVIDENCE = {
    "Latn": """
        af an ast az bar bbj bm br bs ca ceb cs cy da de ee en eo es et eu ff fi fon fr fy ga gd gl
        gn ha hr ht hu id ig io is it jv ku la lb lg li lmo ln lt luo lv mg min mos ms nds nl nn no
        nso ny oc om pcm pl pms pt qu rm ro rw sc scn sco sh sk sl sn so sq ss st su sv sw tl tn tr
        tw uz vi vo war wo xh yo zu
    """,
    "Cyrl": "ba be bg ce cv kk ky mk mn ru sr tg tt uk",
    "Arab": "ar azb fa pnb ps sd ug ur",
    "Deva": "hi mr ne new sa",
    "Beng": "as bn bpy",
    "Hebr": "he yi",
    "Armn": "hy",
    "Ethi": "am",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hans": "zh",
    "Jpan": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Kore": "ko",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thai": "th",
}


@pytest.mark.parametrize(
    ("code", "script"), [(code, script) for script, codes in EVIDENCE.items() for code in codes.split()]
)
def test_codes_of_the_evidence_stand_for_themselves(code: str, script: str) -> None:
    language = parse_language(code)
    assert (language.code, language.script) == (code, script)


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [
        ("tr", "tr", "Latn"),
        ("tur", "tr", "Latn"),
        ("tur_Latn", "tr", "Latn"),
        (" TR ", "tr", "Latn"),
        ("EN", "en", "Latn"),
        ("Turkish", "tr", "Latn"),
        ("türkçe", "tr", "Latn"),
        ("pt-BR", "pt", "Latn"),
        ("zh", "zh", "Hans"),
        ("zh-Hans", "zh", "Hans"),
        ("zho_Hant", "zh", "Hant"),
        ("zh_TW", "zh", "Hant"),
        ("Simplified Chinese", "zh", "Hans"),
        ("sr", "sr", "Cyrl"),
        ("srp_Latn", "sr", "Latn"),
        ("ja-Latn", "ja", "Latn"),
        ("azb", "azb", "Arab"),
        ("iw", "he", "Hebr"),
        ("yue_Hant", "yue", "Hant"),
        ("Bengali", "bn", "Beng"),
        ("Farsi", "fa", "Arab"),
    ],
)
def test_common_forms(text: str, code: str, script: str) -> None:
    language = parse_language(text)
    assert (language.code, language.script) == (code, script)


FOLDED = (
    *("cmn=zh", "arb=ar", "nob=no", "nb=no", "nor=no", "nno=nn", "swh=sw", "pes=fa", "ekk=et"),
    *("lvs=lv", "zsm=ms", "khk=mn", "npi=ne", "plt=mg", "als=sq", "azj=az", "uzn=uz", "pbt=ps"),
    *("ydd=yi", "ory=or", "gaz=om", "quy=qu", "ckb=ckb", "kmr=ku", "hbs=sh", "tgl=tl", "fil=tl"),
    *("twi=tw", "aka=ak", "fuv=ff", "arz=arz", "yue=yue"),
)


@pytest.mark.parametrize("pair", FOLDED)
def test_individual_languages_fold_as_corpora_use_them(pair: str) -> None:
    text, code = pair.split("=")
    assert parse_language(text).code == code
    assert parse_language(text.upper()).code == code


@pytest.mark.parametrize("code", ["zh", "ja", "th", "lo", "km", "my", "bo", "dz", "yue"])
def test_languages_without_spaces_between_words(code: str) -> None:
    assert not parse_language(code).spaced


@pytest.mark.parametrize("code", ["en", "ko", "vi", "ar", "ja-Latn"])
def test_languages_with_spaces_between_words(code: str) -> None:
    assert parse_language(code).spaced


def test_language_is_a_value() -> None:
    assert parse_language("tur_Latn") == parse_language("Turkish") == Language("tr", "Turkish", "Latn", True)


@pytest.mark.parametrize(
    ("typo", "suggestion"),
    [("Turkiish", "Turkish (tr)"), ("germann", "German (de)"), ("jp", "Japanese (ja)"), ("cz", "Czech (cs)")],
)
def test_typo_gets_a_suggestion(typo: str, suggestion: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_language(typo)
    assert typo in str(caught.value)
    assert suggestion in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "zzq", "qaa", "und", "mul", "trk", "zxx", "en-!", "tr ur", "en\0"])
def test_what_is_no_single_language_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="No language is called"):
        parse_language(text)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello, 123!", "Latn"),
        ("Привет, мир (ok)", "Cyrl"),
        ("日本語です", "Jpan"),
        ("カタカナ", "Jpan"),
        ("汉字", "Hani"),
        ("한국어 漢字", "Kore"),
        ("สวัสดี", "Thai"),
        ("नमस्ते", "Deva"),
        ("مرحبا", "Arab"),
        ("שלום", "Hebr"),
        ("ａｂｃ", "Latn"),
        ("123 ?!", "Zyyy"),
        ("", "Zyyy"),
    ],
)
def test_script_of(text: str, script: str) -> None:
    assert script_of(text) == script


@pytest.mark.parametrize(
    "code",
    ["am", "bn", "bo", "el", "he", "hy", "ka", "km", "ko", "lo", "my", "or", "pa", "si", "ta", "th", "zh"],
)
def test_a_language_names_itself_in_its_own_script(code: str) -> None:
    language = parse_language(code)
    expected = "Hani" if language.script == "Hans" else language.script
    assert script_of(langcodes.Language.get(code).autonym()) == expected

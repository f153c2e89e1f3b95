"""Translation files: codes inside segments, languages unit by unit, states, message ids."""

from pathlib import Path

import pytest

from probes.data import Bitext, read_bitext
from probes.errors import InputError
from probes.languages import parse_language


def read(folder: Path, name: str, text: str, source: str = "en", target: str = "tr") -> Bitext:
    (folder / name).write_text(text, encoding="utf-8")
    return read_bitext(folder / name, parse_language(source), parse_language(target))


def refusal(folder: Path, name: str, text: str, source: str = "en", target: str = "tr") -> str:
    with pytest.raises(InputError) as caught:
        read(folder, name, text, source, target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


XLIFF_2 = '<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en" trgLang="tr">'
PO_HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'


def tmx(*units: str) -> str:
    body = "".join(f"<tu>{unit}</tu>" for unit in units)
    return f'<tmx version="1.4"><header srclang="en"/><body>{body}</body></tmx>'


def tuv(language: str, segment: str) -> str:
    return f'<tuv xml:lang="{language}"><seg>{segment}</seg></tuv>'


def xliff(*files: str) -> str:
    body = "".join(files)
    return f'<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">{body}</xliff>'


def xliff_2(*units: str) -> str:
    return f'{XLIFF_2}<file id="f">{"".join(units)}</file></xliff>'


def unit_2(source: str, target: str, attributes: str = "") -> str:
    sides = f"<source>{source}</source><target>{target}</target>"
    return f'<unit id="1"><segment {attributes}>{sides}</segment></unit>'


def file(source: str, target: str, *units: str) -> str:
    body = "".join(units)
    return f'<file source-language="{source}" target-language="{target}"><body>{body}</body></file>'


def unit(source: str, target: str, attributes: str = "", state: str = "") -> str:
    sides = f"<source>{source}</source><target {state}>{target}</target>"
    return f'<trans-unit id="1" {attributes}>{sides}</trans-unit>'


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ('<bpt i="1">&lt;b&gt;</bpt>bold<ept i="1">&lt;/b&gt;</ept> text', "bold text"),
        ('a <hi type="term">term</hi> here', "a term here"),
        ('line<ph x="1">&lt;br/&gt;</ph>break', "line break"),
        ('soft<ph type="lb"/>break', "soft break"),
        ('<it pos="begin" x="1">&lt;i&gt;</it>open', "open"),
        ("<ut>{\\b </ut>old<ut>}</ut>", "old"),
        ('see <ph x="1">&lt;img alt="<sub>a picture</sub>"/&gt;</ph>this', "see this"),
        ("<hi>all <bpt i='1'>&lt;u&gt;</bpt>nested<ept i='1'>&lt;/u&gt;</ept></hi> tail", "all nested tail"),
        ("a<!-- note -->b", "ab"),
    ],
)
def test_tmx_codes_are_dropped_and_text_is_kept(tmp_path: Path, segment: str, text: str) -> None:
    bitext = read(tmp_path, "a.tmx", tmx(tuv("en", segment) + tuv("tr", "metin")))
    assert bitext.pairs == ((text, "metin"),)


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ('<g id="1">bold</g> text<x id="2"/>', "bold text"),
        ('<bpt id="1">&lt;b&gt;</bpt>bold<ept id="1">&lt;/b&gt;</ept>', "bold"),
        ('<ph id="1">&lt;img alt="<sub>alt</sub>"/&gt;</ph>shown', "shown"),
        ('<mrk mtype="term">term</mrk> here', "term here"),
        ('line<x id="1" ctype="lb"/>break', "line break"),
        ('<bx id="1"/>open<ex id="1"/> close', "open close"),
    ],
)
def test_xliff_1_codes(tmp_path: Path, segment: str, text: str) -> None:
    bitext = read(tmp_path, "a.xlf", xliff(file("en", "tr", unit(segment, "metin"))))
    assert bitext.pairs == ((text, "metin"),)


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ('<pc id="1">bold</pc> text<ph id="2"/>', "bold text"),
        ('<sc id="1"/>open<ec startRef="1"/>', "open"),
        ('<mrk id="m" type="term">term</mrk> <cp hex="0001"/>here', "term here"),
        ('line<ph id="1" subType="xlf:lb"/>break', "line break"),
    ],
)
def test_xliff_2_codes(tmp_path: Path, segment: str, text: str) -> None:
    assert read(tmp_path, "a.xlf", xliff_2(unit_2(segment, "metin"))).pairs == ((text, "metin"),)


def test_the_first_variant_with_text_is_taken_and_others_are_counted(
    tmp_path: Path,
) -> None:
    text = tmx(
        tuv("en", "")
        + tuv("en-GB", "colour")
        + tuv("en-US", "color")
        + tuv("tr", "renk")
        + tuv("tr", "boya"),
        tuv("en", "a") + tuv("tr", ""),
        tuv("en", "b") + tuv("de", "c"),
    )
    bitext = read(tmp_path, "a.tmx", text)
    assert bitext.pairs == (("colour", "renk"),)
    assert bitext.facts[0].dropped == {
        "a further segment in the same language": 1,
        "empty side": 1,
        "no Turkish segment": 1,
    }


def test_xliff_languages_hold_for_each_file_and_unit(tmp_path: Path) -> None:
    other = "<trans-unit id='2'><source>four</source><target xml:lang='sv'>fyra</target></trans-unit>"
    alternative = (
        "<trans-unit id='3'><source>five</source><target>beş</target>"
        "<alt-trans><source>V</source><target>alt</target></alt-trans></trans-unit>"
    )
    text = xliff(
        file("en", "tr", unit("one", "bir"), other, alternative),
        file("en", "sv", unit("two", "två")),
        file("tr-TR", "en-US", unit("üç", "three")),
    )
    bitext = read(tmp_path, "a.xlf", text)
    assert bitext.pairs == (("one", "bir"), ("five", "beş"), ("three", "üç"))
    assert bitext.facts[0].dropped == {"in other languages (en to sv)": 2}
    assert "(en to sv)" in refusal(tmp_path, "b.xlf", xliff(file("en", "sv", unit("two", "två"))))


@pytest.mark.parametrize(
    ("attributes", "state", "reason"),
    [
        ("", 'state="new"', "not translated yet (state new)"),
        ("", 'state="needs-translation"', "not translated yet (state needs-translation)"),
        ('approved="no"', 'state="needs-review-translation"', "fuzzy (state needs-review-translation)"),
        ('approved="no"', "", "not approved"),
        ('approved="no"', 'state="translated"', None),
        ('approved="yes"', 'state="final"', None),
        ("", 'state="signed-off"', None),
    ],
)
def test_states_and_approval(tmp_path: Path, attributes: str, state: str, reason: str | None) -> None:
    text = xliff(file("en", "tr", unit("one", "bir"), unit("two", "iki", attributes, state)))
    bitext = read(tmp_path, "a.xlf", text)
    assert bitext.facts[0].dropped == ({} if reason is None else {reason: 1})


def test_xliff_2_states(tmp_path: Path) -> None:
    states = ("initial", "translated", "reviewed", "final")
    units = [unit_2(f"s{i} x", f"t{i} y", f'state="{state}"') for i, state in enumerate(states)]
    bitext = read(tmp_path, "a.xliff", xliff_2(*units))
    assert [first for first, _ in bitext.pairs] == ["s1 x", "s2 x", "s3 x"]


@pytest.mark.parametrize(
    ("stated", "target"),
    [
        *(("sr@latin", "sr"), ("sr_RS@latin", "sr"), ("sr_RS.UTF-8@latin", "sr-Latn"), ("sr-Latn-RS", "sr")),
        *(
            ("ca@valencia", "ca"),
            ("ca-ES-valencia", "ca"),
            ("zh_Hant_TW", "zh"),
            ("pt_BR", "pt"),
            ("nb_NO", "no"),
        ),
    ],
)
def test_locales_of_every_spelling_name_their_language(tmp_path: Path, stated: str, target: str) -> None:
    po = PO_HEAD + f'"Language: {stated}\\n"\n\nmsgid "a b"\nmsgstr "x y"\n'
    assert read(tmp_path, "a.po", po, target=target).pairs == (("a b", "x y"),)
    assert len(read(tmp_path, "a.tmx", tmx(tuv("en", "a b") + tuv(stated, "x y")), target=target)) == 1
    assert len(read(tmp_path, "a.xlf", xliff(file("en", stated, unit("a b", "x y"))), target=target)) == 1


def test_names_of_messages_are_no_text(tmp_path: Path) -> None:
    names = [f"menu.file.entry_{i}" for i in range(8)]
    po = PO_HEAD + "".join(f'\nmsgid "{name}"\nmsgstr "Aç {i}"\n' for i, name in enumerate(names))
    units = [unit(name, f"Aç {i}") for i, name in enumerate(names)]
    for name, text in (("a.po", po), ("a.xlf", xliff(file("en", "tr", *units)))):
        assert "the names of messages ('menu.file.entry_0')" in refusal(tmp_path, name, text)


def test_the_source_language_of_a_po_file_counts_where_it_is_stated(tmp_path: Path) -> None:
    head = PO_HEAD + '"Language: tr\\n"\n"X-Source-Language: de\\n"\n'
    assert "from de to tr" in refusal(tmp_path, "a.po", head + '\nmsgid "Hallo"\nmsgstr "Merhaba"\n')


@pytest.mark.parametrize("name", ["a.tmx", "a.xlf"])
@pytest.mark.parametrize("text", ["<tmx", "<html><body/></html>", "plain"])
def test_other_xml_is_named(tmp_path: Path, name: str, text: str) -> None:
    assert "is not " in refusal(tmp_path, name, text)

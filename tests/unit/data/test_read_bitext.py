import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from probes.data import Bitext, read_bitext
from probes.data.files import MAX_LINE, OVERLONG
from probes.errors import InputError
from probes.languages import parse_language

EN, TR, RU, ZH, HANT = map(parse_language, ("en", "tr", "ru", "zh", "zh-Hant"))

TMX = """\
<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header srclang="en" datatype="plaintext" segtype="sentence" adminlang="en"
 creationtool="x" creationtoolversion="1" o-tmf="x"/><body>
<tu><tuv xml:lang="de"><seg>Hallo</seg></tuv><tuv xml:lang="tr-TR"><seg>Merhaba</seg></tuv>
    <tuv xml:lang="EN-us"><seg>Hello</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Good <hi>night</hi></seg></tuv>
    <tuv xml:lang="tr"><seg>İyi geceler</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Bye</seg></tuv><tuv xml:lang="de"><seg>Tschüss</seg></tuv></tu>
</body></tmx>
"""

PO = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Language: tr\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "Open"
msgstr "Aç"

msgid "one file"
msgid_plural "%d files"
msgstr[0] "bir dosya"
msgstr[1] "%d dosya"

#, fuzzy
msgid "Close"
msgstr "Kapı"

msgid "Save"
msgstr ""

#~ msgid "Old"
#~ msgstr "Eski"
"""

XLIFF_1 = """\
<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
<file source-language="en-US" target-language="tr" datatype="plaintext" original="x"><body>
<trans-unit id="1"><source>Open</source><target>Aç</target></trans-unit>
<trans-unit id="2"><source>Save</source></trans-unit>
</body></file></xliff>
"""

XLIFF_2 = """\
<?xml version="1.0" encoding="UTF-8"?>
<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en" trgLang="tr">
<file id="f"><unit id="1"><segment><source>Open</source><target>Aç</target></segment></unit>
<unit id="2"><segment><source>Save</source><target>Kaydet</target></segment></unit></file></xliff>
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(spec: str | Path, source: str = "en", target: str = "tr", **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_bitext(spec, parse_language(source), parse_language(target), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def dropped(bitext: Bitext) -> list[dict[str, int]]:
    return [facts.dropped for facts in bitext.facts]


class TestTsv:
    def test_pairs_and_facts(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "Hello\tMerhaba\r\n Bye \tGüle güle\n")
        bitext = read_bitext(path, EN, TR)
        assert bitext.pairs == (("Hello", "Merhaba"), ("Bye", "Güle güle"))
        assert bitext.links is None
        assert len(bitext) == 2
        (facts,) = bitext.facts
        assert (facts.role, facts.format, facts.read, facts.kept) == ("bitext", "tsv", 2, 2)
        assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_what_is_dropped(self, tmp_path: Path) -> None:
        lines = [
            "café\tkahve",
            "cafe\u0301 \tkahve",  # the same in NFC with white space folded
            "cafe\tkahve",
            "\tboş",
            "only\t \u00a0",
            "OK\tOK",
            "three\tcells\there",
            "none",
        ]
        bitext = read_bitext(write(tmp_path, "a.tsv", "\n".join(lines)), EN, TR)
        assert bitext.pairs == (("café", "kahve"), ("cafe", "kahve"))
        assert dropped(bitext) == [
            {"duplicate": 1, "empty side": 2, "same text on both sides": 1, "a line without two columns": 2}
        ]
        assert bitext.facts[0].read == 8

    @pytest.mark.parametrize("line", ["one column", "a\tb\tCC BY 2.0"])
    def test_wrong_number_of_columns(self, tmp_path: Path, line: str) -> None:
        message = refusal(write(tmp_path, "a.tsv", line + "\nc\td\n"))
        assert f"{line.count(chr(9)) + 1} column" in message
        assert "English and the Turkish" in message

    @pytest.mark.parametrize("header", ["en\ttr", "English\tTurkish", "eng_Latn\ttur_Latn", "source\ttarget"])
    def test_a_header_is_not_a_pair(self, tmp_path: Path, header: str) -> None:
        assert read_bitext(write(tmp_path, "a.tsv", header + "\na\tb\n"), EN, TR).pairs == (("a", "b"),)

    @pytest.mark.parametrize("header", ["tr\ten", "target\tsource", "tgt\tsrc"])
    def test_a_header_says_which_side_is_which(self, tmp_path: Path, header: str) -> None:
        assert read_bitext(write(tmp_path, "a.tsv", f"{header}\nb\ta\n"), EN, TR).pairs == (("a", "b"),)

    def test_chinese_characters_serve_both_scripts(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "Hello\t你好\n")
        assert read_bitext(path, EN, ZH).pairs == read_bitext(path, EN, HANT).pairs

    def test_no_usable_pair(self, tmp_path: Path) -> None:
        assert "1 dropped: same text" in refusal(write(tmp_path, "a.tsv", "a\ta\n"))

    def test_format_by_content(self, tmp_path: Path) -> None:
        for content, format in (("a\tb\n", "tsv"), (TMX, "tmx"), (PO, "po"), (XLIFF_2, "xliff")):
            (facts,) = read_bitext(write(tmp_path, "data", content), EN, TR).facts
            assert facts.format == format
        assert "no bitext I can read" in refusal(write(tmp_path, "data", "hello\n"))


class TestSeveralFiles:
    def test_two_line_aligned_files(self, tmp_path: Path) -> None:
        first = write(tmp_path, "a.en", "Hello\n\nBye\n")
        second = write(tmp_path, "a.tr", "Merhaba\nboş\nGüle güle")
        bitext = read_bitext(f"{first},{second}", EN, TR)
        assert bitext.pairs == (("Hello", "Merhaba"), ("Bye", "Güle güle"))
        (facts,) = bitext.facts
        assert (facts.format, facts.read, facts.dropped) == ("line-aligned", 3, {"empty side": 1})
        assert facts.sha256 == hashlib.sha256(first.read_bytes() + second.read_bytes()).hexdigest()

    def test_different_line_counts(self, tmp_path: Path) -> None:
        first = write(tmp_path, "a.en", "a\nb\nc\n")
        second = write(tmp_path, "a.tr", "A\nB\n")
        message = refusal(f"{first},{second}")
        assert "a.en has 3 lines" in message
        assert "a.tr has 2" in message

    def test_an_overlong_line_drops_its_pair(self, tmp_path: Path) -> None:
        first = write(tmp_path, "a.en", f"a\n{'x' * (MAX_LINE + 1)}\nc\n")
        second = write(tmp_path, "a.tr", "A\nB\nC\n")
        bitext = read_bitext(f"{first},{second}", EN, TR)
        assert bitext.pairs == (("a", "A"), ("c", "C"))
        assert dropped(bitext) == [{OVERLONG: 1}]

    def test_parts_joined_with_plus_share_duplicates(self, tmp_path: Path) -> None:
        first = write(tmp_path, "a.tsv", "a\tb\nc\td\n")
        second = write(tmp_path, "b.tsv", "c\td\ne\tf\n")
        bitext = read_bitext(f"{first}+{second}", EN, TR)
        assert bitext.pairs == (("a", "b"), ("c", "d"), ("e", "f"))
        assert dropped(bitext) == [{}, {"duplicate": 1}]
        assert [facts.spec for facts in bitext.facts] == [str(first), str(second)]

    def test_separators_in_an_existing_name_are_part_of_it(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a+b,c.tsv", "a\tb\n")
        assert len(read_bitext(path, EN, TR)) == 1

    @pytest.mark.parametrize("spec", ["a+", "a,", "a,b,,c"])
    def test_malformed_specs(self, spec: str) -> None:
        assert f"'{spec}' has an empty part" in refusal(spec)


class TestLinks:
    def test_links_stay_in_step_with_the_pairs(self, tmp_path: Path) -> None:
        bitext_file = write(tmp_path, "a.tsv", "a b\tA B\na  b\tA B\n\tx\nc\tC\nd\td\ne f\tE F\n")
        links = write(tmp_path, "a.links", "0-0 1-1\n0-1\n0-0\n\n0-0\n1-0 2-0 0-7\n")
        bitext = read_bitext(bitext_file, EN, TR, links=links)
        assert bitext.pairs == (("a b", "A B"), ("c", "C"), ("e f", "E F"))
        assert bitext.links == (((0, 0), (1, 1)), (), ((1, 0),))
        pair_facts, link_facts = bitext.facts
        assert pair_facts.kept == 3
        assert (link_facts.role, link_facts.format) == ("word links", "pharaoh")
        assert (link_facts.read, link_facts.kept) == (8, 3)
        assert link_facts.dropped == {"link of a dropped pair": 3, "index beyond the last word": 2}

    @pytest.mark.parametrize(
        ("line", "says"), [("1-1 2-2", "10 of 20"), ("0-0 1-1 2-2", "10 of 30"), ("0-0 1-1", ""), ("1-1", "")]
    )
    def test_links_into_other_text_or_counted_from_1_are_refused(
        self, tmp_path: Path, line: str, says: str
    ) -> None:
        pairs = write(tmp_path, "a.tsv", "".join(f"a{i} b\tc d\n" for i in range(10)))
        links = write(tmp_path, "a.links", f"{line}\n" * 10)
        if says:
            assert f"{says} links of {links} point beyond the last word" in refusal(pairs, links=links)
        else:
            assert len(read_bitext(pairs, EN, TR, links=links).links or ()) == 10

    def test_a_header_line_has_no_links(self, tmp_path: Path) -> None:
        bitext_file = write(tmp_path, "a.tsv", "en\ttr\na\tA\n")
        assert read_bitext(bitext_file, EN, TR, links=write(tmp_path, "l", "0-0\n")).links == (((0, 0),),)

    @pytest.mark.parametrize(("content", "count"), [("0-0\n", 1), ("0-0\n\n0-0\n", 3)])
    def test_another_number_of_lines(self, tmp_path: Path, content: str, count: int) -> None:
        bitext_file = write(tmp_path, "a.tsv", "a\tA\nb\tB\n")
        message = refusal(bitext_file, links=write(tmp_path, "l", content))
        assert f"{count} lines of word links for the 2 pairs" in message

    @pytest.mark.parametrize("line", ["0:0", "0-0 x", "-1-0", "0-0-0", "1-99999999999", "٠-٠"])
    def test_what_is_not_pharaoh(self, tmp_path: Path, line: str) -> None:
        bitext_file = write(tmp_path, "a.tsv", "a\tA\nb\tB\n")
        assert "Line 2 of" in refusal(bitext_file, links=write(tmp_path, "l", f"0-0\n{line}\n"))

    def test_one_file_of_links_for_each_part(self, tmp_path: Path) -> None:
        first, second = write(tmp_path, "a.tsv", "a\tA\n"), write(tmp_path, "b.tsv", "b\tB\n")
        one, two = write(tmp_path, "1", "0-0\n"), write(tmp_path, "2", "\n")
        bitext = read_bitext(f"{first}+{second}", EN, TR, links=f"{one}+{two}")
        assert bitext.links == (((0, 0),), ())
        assert [facts.role for facts in bitext.facts] == ["bitext", "bitext", "word links", "word links"]
        assert "1 files of word links for 2" in refusal(f"{first}+{second}", links=one)


class TestTranslationFiles:
    def test_tmx_finds_the_languages_asked_for(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tmx", TMX)
        bitext = read_bitext(path, EN, TR)
        assert bitext.pairs == (("Hello", "Merhaba"), ("Good night", "İyi geceler"))
        assert dropped(bitext) == [{"no Turkish segment": 1}]
        assert read_bitext(path, parse_language("de"), EN).pairs == (("Hallo", "Hello"), ("Tschüss", "Bye"))

    def test_tmx_without_the_languages(self, tmp_path: Path) -> None:
        message = refusal(write(tmp_path, "a.tmx", TMX), "en", "fr")
        assert "English and French" in message
        assert "de, tr-TR, EN-us" in message

    def test_po(self, tmp_path: Path) -> None:
        bitext = read_bitext(write(tmp_path, "a.po", PO), EN, TR)
        assert bitext.pairs == (("Open", "Aç"), ("one file", "bir dosya"))
        assert dropped(bitext) == [{"fuzzy": 1, "empty side": 1, "obsolete": 1}]

    @pytest.mark.parametrize("content", [PO, XLIFF_1, XLIFF_2])
    def test_the_stated_languages_decide_the_order(self, tmp_path: Path, content: str) -> None:
        path = write(tmp_path, "a.po" if content is PO else "a.xlf", content)
        assert read_bitext(path, EN, TR).pairs[0] == ("Open", "Aç")
        assert read_bitext(path, TR, EN).pairs[0] == ("Aç", "Open")
        assert "German" in refusal(path, "de", "ru")

    def test_po_without_a_stated_language(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.po", 'msgid "Open"\nmsgstr "Aç"\n')
        assert read_bitext(path, EN, TR).pairs == (("Open", "Aç"),)

    def test_xliff_units_without_target_are_counted(self, tmp_path: Path) -> None:
        assert dropped(read_bitext(write(tmp_path, "a.xliff", XLIFF_1), EN, TR)) == [{"empty side": 1}]

    @pytest.mark.parametrize("name", ["a.tmx", "a.po", "a.xlf"])
    @pytest.mark.parametrize("content", ["<tmx><body>", "junk", "<?xml version='1.0'?><a/>"])
    def test_damaged_files(self, tmp_path: Path, name: str, content: str) -> None:
        assert str(tmp_path / name) in refusal(write(tmp_path, name, content))

    def test_external_entities_are_not_read(self, tmp_path: Path) -> None:
        secret = write(tmp_path, "secret", "do not read me")
        entity = f'<!DOCTYPE tmx [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        content = TMX.replace("<tmx ", entity + "<tmx ", 1).replace("Hello", "Hello &x;")
        bitext = read_bitext(write(tmp_path, "a.tmx", content), EN, TR)
        assert bitext.pairs[0] == ("Hello", "Merhaba")

    def test_entities_that_expand_without_end_are_refused(self, tmp_path: Path) -> None:
        nested = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
        entities = f'<!DOCTYPE tmx [<!ENTITY a0 "lol">{nested}]>'
        content = TMX.replace("<tmx ", entities + "<tmx ", 1).replace("Hello", "&a9;")
        assert "is not TMX" in refusal(write(tmp_path, "a.tmx", content))


class TestTables:
    def test_columns_named_after_the_languages(self, tmp_path: Path) -> None:
        rows = [{"id": 1, "tur_Latn": "b", "eng_Latn": "a"}, {"id": 2, "tur_Latn": None, "eng_Latn": "a"}]
        bitext = read_bitext(write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))), EN, TR)
        assert bitext.pairs == (("a", "b"),)
        assert dropped(bitext) == [{"empty side": 1}]

    def test_the_script_picks_between_columns_of_one_language(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.jsonl", json.dumps({"en": "hi", "zho_Hans": "汉语", "zho_Hant": "漢語"}))
        assert read_bitext(path, EN, ZH).pairs == (("hi", "汉语"),)
        assert read_bitext(path, EN, HANT).pairs == (("hi", "漢語"),)

    def test_a_translation_column_and_usual_names(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.jsonl", json.dumps({"translation": {"tr": "b", "en": "a"}}))
        assert read_bitext(path, EN, TR).pairs == (("a", "b"),)
        path = write(tmp_path, "b.jsonl", json.dumps({"sentence1": "a", "sentence2": "b"}))
        assert read_bitext(path, EN, TR).pairs == (("a", "b"),)

    def test_no_columns_for_the_languages(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.jsonl", json.dumps({"x": "a", "y": "b"}))
        assert "call them en and tr" in refusal(path)

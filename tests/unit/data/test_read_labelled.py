import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probes.catalogue import TASKS
from probes.data import (
    Columns,
    LabelledData,
    PairExample,
    SentenceExample,
    TokenExample,
    keep_known_labels,
    read_labelled,
)
from probes.data.files import MAX_LINE, OVERLONG
from probes.errors import InputError

TOPICS = "text\tlabel\nThe cup final\tsports\nA new vaccine\thealth\nGoal!\tsports\n"

CONLLU = """\
# sent_id = 1
# text = Du pain, Marie l'a.
1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_
1\tDe\tde\tADP\t_\t_\t_\t_\t_\t_
2\tle\tle\tDET\t_\t_\t_\t_\t_\t_
3\tpain\tpain\tNOUN\t_\t_\t_\t_\t_\t_
3.1\tempty\tempty\tVERB\t_\t_\t_\t_\t_\t_

# sent_id = 2
1\tMarie\tMarie\t_\t_\t_\t_\t_\t_\t_

1\tVingt mille\t_\tNUM\t_\t_\t_\t_\t_\t_

one\ttwo
"""

XSID = """\
# id = 1
# text = Wake me, 7 am
# intent = alarm/set
1\tWake\talarm/set\tO
2\tme\talarm/set\tO
3\t,\talarm/set\tO
4\t7\talarm/set\tB-datetime
5\tam\talarm/set\tI-datetime

1\tSunny\tweather/find\tB-weather/attribute
2\t?\tweather/find\tO
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path | str, task: str, **options: Any) -> LabelledData:
    return read_labelled(path, TASKS[task], role="train", **options)


def refusal(path: Path | str, task: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, task, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_tsv_with_its_facts(tmp_path: Path) -> None:
    path = write(tmp_path, "topics.tsv", TOPICS)
    data = read(path, "topic")
    assert data.examples[0] == SentenceExample("The cup final", "sports")
    assert data.labels == ("health", "sports")
    assert data.texts == ("The cup final", "A new vaccine", "Goal!")
    assert len(data) == 3
    facts = data.facts
    assert (facts.role, facts.spec, facts.format) == ("train", str(path), "tsv")
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts.read, facts.kept, facts.dropped) == (3, 3, {})


def test_importing_the_readers_imports_none_of_the_heavy_libraries() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'translate', 'conllu', 'pandas'}"
    code = f"import sys, probes.data, probes.languages; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestTables:
    def test_usual_column_names_are_found_in_any_case(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "ID\tCategory\tUtterance\n1\tx\thello\n2\ty\tbye\n")
        assert read(path, "topic").examples == (SentenceExample("hello", "x"), SentenceExample("bye", "y"))

    def test_a_column_named_like_the_task_comes_first(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "text\tlabel\tintent\nhello\t1\tgreet\nbye\t2\tleave\n")
        assert read(path, "intent").labels == ("greet", "leave")
        assert read(path, "topic").labels == ("1", "2")

    def test_columns_can_be_named(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "q\tkind\na b\tx\nc d\ty\n")
        data = read(path, "topic", columns=Columns(text="q", label="kind"))
        assert data.examples[1] == SentenceExample("c d", "y")

    def test_a_named_column_that_is_missing(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", TOPICS)
        assert "'text', 'label'" in refusal(path, "topic", columns=Columns(text="q"))

    def test_a_table_without_header_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", TOPICS.split("\n", 1)[1])
        message = refusal(path, "topic")
        assert "'The cup final', 'sports'" in message
        assert "add a header line" in message

    def test_two_columns_of_one_name(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "text\ttext\tlabel\na\tb\tx\nc\td\ty\n")
        assert "several columns called 'text'" in refusal(path, "topic")

    def test_unusable_rows_are_counted_by_reason(self, tmp_path: Path) -> None:
        rows = "a\tx\nb\ty\n\tx\nc\t\nonly one\na\tb\tc\n\n"
        facts = read(write(tmp_path, "a.tsv", "text\tlabel\n" + rows), "topic").facts
        assert facts.dropped == {"empty text": 1, "no label": 1, "a row without 2 columns": 2}
        assert (facts.read, facts.kept) == (6, 2)

    def test_duplicate_labelled_examples_stay(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", TOPICS + "Goal!\tsports\n")
        assert len(read(path, "topic")) == 4

    def test_quotes_in_tsv_are_text(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", 'text\tlabel\n"Stop\tx\n5" disk\ty\n')
        assert read(path, "topic").texts == ('"Stop', '5" disk')

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_csv_with_quoted_fields(self, tmp_path: Path, delimiter: str) -> None:
        path = tmp_path / "a.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, delimiter=delimiter).writerows(
                [("sentence", "class"), ('He said "no",\nthen; left', "x"), ("a\tb", "y")]
            )
        assert read(path, "topic").texts == ('He said "no",\nthen; left', "a\tb")

    @pytest.mark.parametrize("row", ['"never closed,x', '"closed" early,x'])
    def test_broken_csv(self, tmp_path: Path, row: str) -> None:
        path = write(tmp_path, "a.csv", f"text,label\n{row}\nb,y\n")
        assert "not readable as CSV" in refusal(path, "topic")

    def test_jsonl(self, tmp_path: Path) -> None:
        rows = [
            {"text": "a", "label": 0},
            {"text": "b", "label": True, "extra": None},
            {"text": "c", "label": 2.0},
            {"text": "d", "label": None},
            {"text": 5, "label": "x"},
            {"label": "x"},
            {"text": "\ud800", "label": "x"},
            [1],
        ]
        path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n{broken\n" + "[" * 100_000)
        data = read(path, "topic")
        assert data.labels == ("0", "2", "True")
        assert data.facts.dropped == {"no label": 1, "empty text": 3, "not a JSON object": 3}

    def test_jsonl_without_objects(self, tmp_path: Path) -> None:
        assert "no line that is a JSON object" in refusal(write(tmp_path, "a.jsonl", "[1]\n2\n"), "topic")

    @pytest.mark.parametrize(
        ("first", "second"), [("premise", "hypothesis"), ("sentence1", "sentence2"), ("text_a", "text_b")]
    )
    def test_pairs(self, tmp_path: Path, first: str, second: str) -> None:
        text = f"{first}\t{second}\tlabel\nIt rains\tIt is wet\tentailment\nA\tB\tneutral\nC\tD\t-\n"
        data = read(write(tmp_path, "a.tsv", text), "nli")
        assert data.examples[0] == PairExample("It rains", "It is wet", "entailment")
        assert data.texts == ("It rains", "It is wet", "A", "B")
        assert data.facts.dropped == {"no label": 1}

    def test_pairs_with_named_columns(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.tsv", "a\tb\tc\n1\t2\tx\n3\t4\ty\n")
        data = read(path, "paraphrase", columns=Columns(text="a", second="b", label="c"))
        assert data.examples[1] == PairExample("3", "4", "y")
        assert "first text" in refusal(path, "paraphrase")

    def test_token_lists_take_the_column_of_the_task(self, tmp_path: Path) -> None:
        rows = [
            {"tokens": ["Ada", "ran"], "pos_tags": ["PROPN", "VERB"], "ner_tags": ["B-PER", "O"]},
            {"tokens": ["a"], "pos_tags": ["DET", "NOUN"], "ner_tags": []},
            {"tokens": "a b", "pos_tags": ["DET"], "ner_tags": ["O"]},
            {"tokens": [], "pos_tags": [], "ner_tags": []},
        ]
        path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
        assert read(path, "pos").examples == (TokenExample(("Ada", "ran"), ("PROPN", "VERB")),)
        facts = read(path, "ner").facts
        assert facts.dropped == {
            "words and labels that differ in number": 1,
            "words or labels that are not a list": 1,
            "no word": 1,
        }

    def test_parquet_decodes_class_labels(self, tmp_path: Path) -> None:
        import datasets

        names = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
        features = datasets.Features(
            {"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(names)}
        )
        rows = {"tokens": [["Ada", "Lovelace", "ran"], ["x"]], "ner_tags": [[1, 2, 0], [-1]]}
        path = tmp_path / "a.parquet"
        datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
        data = read(path, "ner")
        assert data.examples == (TokenExample(("Ada", "Lovelace", "ran"), ("B-PER", "I-PER", "O")),)
        assert data.facts.dropped == {"a word without label": 1}

    def test_parquet_without_stored_names_keeps_integers(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": ["a", "b"], "label": [0, 1]}), tmp_path / "a.parquet")
        assert read(tmp_path / "a.parquet", "topic").labels == ("0", "1")


class TestConllu:
    def test_syntactic_words_with_upos(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.conllu", CONLLU), "pos")
        assert data.examples == (
            TokenExample(("De", "le", "pain"), ("ADP", "DET", "NOUN")),
            TokenExample(("Vingt mille",), ("NUM",)),
        )
        assert data.texts[0] == "De le pain"
        assert data.facts.dropped == {"a word without UPOS": 1, "a line without 10 columns": 1}
        assert data.facts.format == "conllu"

    def test_content_tells_conllu_in_a_file_named_otherwise(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.conll", CONLLU), "pos")
        assert data.facts.format == "conllu"
        assert data.labels == ("ADP", "DET", "NOUN", "NUM")

    def test_only_pos_is_read_from_it(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conllu", CONLLU)
        assert "only UPOS" in refusal(path, "ner")
        assert "labels for words" in refusal(path, "topic")


class TestColumns:
    @pytest.mark.parametrize("suffix", [".conll", ".bio", ".txt", ".tsv", ""])
    @pytest.mark.parametrize("separator", ["\t", " "])
    def test_word_first_label_last(self, tmp_path: Path, suffix: str, separator: str) -> None:
        lines = ["-DOCSTART- -X- O O", "", "# id = 1", "EU NNP B-NP B-ORG", "# # I-NP O", "", "", "x X O O"]
        path = write(
            tmp_path,
            "a" + suffix,
            "\r\n".join(lines).replace(" ", separator).replace("#\tid\t=\t1", "# id = 1"),
        )
        assert read(path, "ner").examples == (
            TokenExample(("EU", "#"), ("B-ORG", "O")),
            TokenExample(("x",), ("O",)),
        )

    def test_a_hash_that_opens_a_sentence_is_a_word_if_it_has_a_tag(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", "# newdoc\n# O\nbig B-X\n\n# O\n")
        assert read(path, "ner").examples == (
            TokenExample(("#", "big"), ("O", "B-X")),
            TokenExample(("#",), ("O",)),
        )

    def test_index_column_is_not_taken_for_the_word(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.conll", XSID), "slots")
        assert data.examples[1] == TokenExample(("Sunny", "?"), ("B-weather/attribute", "O"))
        assert len(data) == 2

    def test_numbers_as_words_are_not_taken_for_an_index(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", "1 CD O\n2 CD B-X\n\nof IN O\n")
        assert read(path, "ner").texts == ("1 2", "of")

    def test_a_header_line_is_skipped(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.tsv", "Word\tTag\nEU\tB-ORG\nin\tO\n"), "ner")
        assert data.examples == (TokenExample(("EU", "in"), ("B-ORG", "O")),)

    @pytest.mark.parametrize("head", ["id\ttopic\ttext", "Text\tLabel", "premise\thypothesis\tlabel"])
    def test_a_table_of_texts_is_no_sentence(self, tmp_path: Path, head: str) -> None:
        row = "\t".join("abc"[: head.count("\t") + 1])
        said = refusal(write(tmp_path, "a.tsv", f"{head}\n{row}\n{row}\n"), "pos")
        assert f"a table of {', '.join(head.split())}" in said
        assert "blank line between sentences" in said
        words = write(tmp_path, "b.tsv", "text\tNOUN\nlabel\tNOUN\nreads\tVERB\n")
        assert read(words, "pos").texts == ("text label reads",)

    def test_columns_by_number(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", "O EU x\nB-X in x\n")
        assert read(path, "ner", columns=Columns(words="2", tags="1")).texts == ("EU in",)
        assert "give numbers" in refusal(path, "ner", columns=Columns(words="form"))
        assert "where 9 are needed" in refusal(path, "ner", columns=Columns(tags="9"))

    def test_sentences_of_another_width_or_without_label_are_counted(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.conll", "a\tB-X\nb\tO\n\nc\n\nd\t\n\n\tO\n"), "ner")
        assert data.facts.dropped == {
            "a line without 2 columns": 1,
            "a word without label": 1,
            "an empty word": 1,
        }

    def test_one_column(self, tmp_path: Path) -> None:
        assert "1 column" in refusal(write(tmp_path, "a.conll", "just\nwords\n"), "ner")

    def test_no_break_space_stays_inside_a_word(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", "10\u00a0000 B-N\nx O\n")
        assert read(path, "ner").texts == ("10\u00a0000 x",)

    def test_labels_that_are_no_bio_tags(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", "EU ORG\nin NONE\n")
        assert "no word is outside a span ('NONE', 'ORG')" in refusal(path, "ner")
        assert read(path, "pos").labels == ("NONE", "ORG")

    def test_intents_from_comments_or_the_third_column(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.conll", XSID + "\n1\tHm\n"), "intent")
        assert data.examples == (
            SentenceExample("Wake me, 7 am", "alarm/set"),
            SentenceExample("Sunny ?", "weather/find"),
        )
        assert data.facts.dropped == {"a line without 4 columns": 1}

    def test_word_labels_do_not_serve_sentence_tasks(self, tmp_path: Path) -> None:
        assert "labels for words" in refusal(write(tmp_path, "a.conll", XSID), "topic")

    def test_csv_does_not_serve_token_tasks(self, tmp_path: Path) -> None:
        assert "CSV" in refusal(write(tmp_path, "a.csv", "word,tag\nEU,B-ORG\n"), "ner")


class TestContentDecides:
    def test_where_the_name_says_nothing(self, tmp_path: Path) -> None:
        for text, format in (
            (TOPICS, "tsv"),
            (TOPICS.replace("\t", ","), "csv"),
            ('{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n', "json"),
        ):
            assert read(write(tmp_path, "data", text), "topic").facts.format == format
        assert read(write(tmp_path, "data", XSID), "intent").facts.format == "conll"

    def test_nothing_that_is_known(self, tmp_path: Path) -> None:
        assert "no format I know" in refusal(write(tmp_path, "data", "hello world\n"), "topic")


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings_that_are_read(self, tmp_path: Path, encoding: str) -> None:
        text = "text\tlabel\r\nİyi günler 🙂\tx\r\nGüle güle\u2028\x85 güle\ty\r\n"
        data = read(write(tmp_path, "a.tsv", text.encode(encoding)), "topic")
        assert data.texts == ("İyi günler 🙂", "Güle güle\u2028\x85 güle")

    def test_latin_1_is_refused_with_the_byte_offset(self, tmp_path: Path) -> None:
        content = "text\tlabel\n" + "a" * 100_000 + "\tx\n"
        path = write(tmp_path, "a.tsv", content.encode() + "é\tx\n".encode("latin-1"))
        assert f"not UTF-8 (first at byte {len(content)})" in refusal(path, "topic")

    def test_offset_is_right_where_a_character_spans_two_reads(self, tmp_path: Path) -> None:
        head = b"text\tlabel\n"
        content = head + b"a" * (65_535 - len(head)) + b"\xc3" + b"("
        assert "first at byte 65535" in refusal(write(tmp_path, "a.tsv", content), "topic")

    @pytest.mark.parametrize("content", [b"text\tlabel\na\0b\tx\n", "text\tlabel\n".encode("utf-16-le")])
    def test_nul(self, tmp_path: Path, content: bytes) -> None:
        assert "NUL" in refusal(write(tmp_path, "a.tsv", content), "topic")

    @pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
    def test_overlong_lines_are_dropped_and_counted(self, tmp_path: Path, newline: str) -> None:
        long = "y" * (MAX_LINE + 1)
        path = write(tmp_path, "a.tsv", f"{TOPICS}{long}\tx\nz\tsports\n{long}{newline}")
        data = read(path, "topic")
        assert data.facts.dropped == {OVERLONG: 2}
        assert data.texts[-1] == "z"

    def test_an_overlong_line_spoils_its_sentence_only(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.conll", f"a B-X\n{'y' * (MAX_LINE + 1)}\nb O\n\nc B-X\nd O\n")
        data = read(path, "ner")
        assert data.texts == ("c d",)
        assert data.facts.dropped == {OVERLONG: 1}


class TestUnusableInput:
    def test_missing_file(self, tmp_path: Path) -> None:
        write(tmp_path, "topics.tsv", TOPICS)
        assert "did you mean topics.tsv" in refusal(tmp_path / "topic.tsv", "topic")
        assert "check the path" in refusal(tmp_path / "no" / "topic.tsv", "topic")

    def test_directory(self, tmp_path: Path) -> None:
        assert "is a folder" in refusal(tmp_path, "topic")

    def test_nul_in_the_path(self) -> None:
        assert "Cannot read" in refusal("a\0b", "topic")

    @pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.conllu", "a.parquet"])
    def test_empty_file(self, tmp_path: Path, name: str) -> None:
        assert "is empty" in refusal(write(tmp_path, name, ""), "pos")

    def test_no_usable_example_names_the_reasons(self, tmp_path: Path) -> None:
        message = refusal(write(tmp_path, "a.tsv", "text\tlabel\na\t\nb\t\n"), "topic")
        assert "2 read, 2 dropped: no label" in message

    def test_one_label(self, tmp_path: Path) -> None:
        assert "at least two labels" in refusal(
            write(tmp_path, "a.tsv", "text\tlabel\na\tx\nb\tx\n"), "topic"
        )

    def test_text_given_as_label(self, tmp_path: Path) -> None:
        rows = "".join(f"x\tsentence number {i}\n" for i in range(60))
        assert "looks like text" in refusal(write(tmp_path, "a.tsv", "text\tlabel\n" + rows), "topic")

    @pytest.mark.parametrize("content", [b"not parquet", b"PAR1 and no more", b"PAR1PAR1"])
    def test_damaged_parquet(self, tmp_path: Path, content: bytes) -> None:
        assert "not a readable Parquet file" in refusal(write(tmp_path, "a.parquet", content), "topic")


class TestLabelSets:
    def test_labels_unknown_in_training_are_named_with_the_file(self, tmp_path: Path) -> None:
        train = read(write(tmp_path, "train.tsv", TOPICS), "topic")
        test = read(write(tmp_path, "test.tsv", "text\tlabel\nVote!\tpolitics\nRain\tweather\n"), "topic")
        with pytest.raises(
            InputError, match=r"test\.tsv has the labels 'politics', 'weather', which .*train"
        ):
            keep_known_labels(train, test)

    def test_labels_missing_from_the_other_data_are_fine(self, tmp_path: Path) -> None:
        train = read(write(tmp_path, "train.tsv", TOPICS + "Vote!\tpolitics\n"), "topic")
        test = read(write(tmp_path, "test.tsv", TOPICS), "topic")
        assert keep_known_labels(train, test) is test

    def test_the_training_examples_themselves_are_refused(self, tmp_path: Path) -> None:
        data = read(write(tmp_path, "a.tsv", TOPICS), "topic")
        with pytest.raises(InputError, match="holds the very examples of"):
            keep_known_labels(data, data)

    def test_a_few_examples_with_unknown_labels_can_be_left_out(self, tmp_path: Path) -> None:
        train = read(write(tmp_path, "train.tsv", TOPICS), "topic")
        test = read(write(tmp_path, "test.tsv", TOPICS + "Go!\tsports\nVote!\tpolitics\n"), "topic")
        kept = keep_known_labels(train, test)
        assert kept.examples == test.examples[:-1]
        assert kept.facts.dropped == {"a label unknown in training": 1}
        assert kept.facts.read == kept.facts.kept + 1
        assert keep_known_labels(train, kept) is kept

    def test_other_label_sets_are_refused(self, tmp_path: Path) -> None:
        train = read(write(tmp_path, "train.tsv", TOPICS), "topic")
        test = read(write(tmp_path, "test.tsv", TOPICS.replace("sports", "sport")), "topic")
        with pytest.raises(InputError, match="the label 'sport'"):
            keep_known_labels(train, test)

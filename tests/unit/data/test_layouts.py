"""Which column holds what: declared, told by content, or asked for."""

from pathlib import Path
from typing import Any

import pytest

from probes.catalogue import TASKS
from probes.data import Columns, LabelledData, TokenExample, read_labelled
from probes.errors import InputError

CONLL_2003 = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""

GERMEVAL = """\
#\thttp://de.example.org/wiki/A\t[2009-10-17]
1\tAufgrund\tO\tO
2\tBayern\tB-LOC\tB-ORG
3\tMünchens\tI-LOC\tO

#\thttp://de.example.org/wiki/B\t[2009-10-17]
1\t#\tO\tO
2\tBerlin\tB-LOC\tO
"""

PLUS = """\
# global.columns = ID FORM UPOS X:NER X:MWE
# sent_id = 1
1-2\tdu\t_\t_\t_
1\tde\tADP\tO\t*
2\tle\tDET\tO\t1:VID
2.1\tvu\tVERB\tO\t*
3\tLouvre\tPROPN\tB-LOC\t1
# sent_id = 2

1\tEh\tINTJ\tO\t*
"""


def read(folder: Path, text: str, task: str, name: str = "a.conll", **columns: str) -> LabelledData:
    (folder / name).write_text(text, encoding="utf-8")
    return read_labelled(folder / name, TASKS[task], role="train", columns=Columns(**columns))


def refusal(folder: Path, text: str, task: str, name: str = "a.conll", **columns: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text, task, name, **columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_chunks_of_conll_2003_are_not_the_entities(tmp_path: Path) -> None:
    data = read(tmp_path, CONLL_2003, "ner")
    assert data.examples[0] == TokenExample(
        ("EU", "rejects", "German", "call"), ("B-ORG", "O", "B-MISC", "O")
    )
    assert data.facts.columns == {"words": "column 1", "labels": "column 4"}
    assert read(tmp_path, CONLL_2003, "pos").facts.columns["labels"] == "column 2"


def test_nested_layers_are_asked_about_by_number_with_three_lines(tmp_path: Path) -> None:
    message = refusal(tmp_path, GERMEVAL, "ner", "a.tsv")
    assert "column 3, column 4 could hold the label" in message
    assert "--label-column" in message
    assert "--word-column" in message
    assert "1 | Aufgrund | O | O / 2 | Bayern | B-LOC | B-ORG / 3 | Münchens | I-LOC | O" in message
    outer = read(tmp_path, GERMEVAL, "ner", "a.tsv", label="3")
    assert outer.examples[0].labels == ("O", "B-LOC", "I-LOC")
    assert outer.examples[1] == TokenExample(("#", "Berlin"), ("O", "B-LOC"))
    assert read(tmp_path, GERMEVAL, "ner", "a.tsv", tags="4").examples[0].labels == ("O", "B-ORG", "O")


@pytest.mark.parametrize(("task", "labels"), [("pos", ("ADP", "DET", "PROPN")), ("ner", ("O", "O", "B-LOC"))])
def test_declared_columns_are_honoured_whatever_the_file_is_called(
    tmp_path: Path, task: str, labels: tuple[str, ...]
) -> None:
    for name in ("a.conllup", "a.conllu", "a.conll", "a.txt"):
        example = read(tmp_path, PLUS, task, name).examples[0]
        assert example == TokenExample(("de", "le", "Louvre"), labels)


def test_a_declared_column_can_be_named_and_a_wrong_name_lists_them(tmp_path: Path) -> None:
    data = read(tmp_path, PLUS, "pos", label="X:MWE", words="FORM")
    assert data.examples[0].labels == ("*", "1:VID", "1")
    assert "declares ID, FORM, UPOS, X:NER, X:MWE" in refusal(tmp_path, PLUS, "pos", label="XPOS")


def test_header_lines_name_columns_in_any_order(tmp_path: Path) -> None:
    text = "ner\tpos\ttoken\nB-ORG\tPROPN\tEU\nO\tVERB\tran\n"
    data = read(tmp_path, text, "ner", "a.tsv")
    assert data.examples == (TokenExample(("EU", "ran"), ("B-ORG", "O")),)
    assert data.facts.columns == {"words": "token", "labels": "ner"}
    assert read(tmp_path, text, "pos", "a.tsv").examples[0].labels == ("PROPN", "VERB")


def test_the_label_may_stand_first_where_only_it_can_be_one(tmp_path: Path) -> None:
    data = read(tmp_path, "O I\nO saw\nB-PER Ada\nI-PER L\n\nB-PER Bob\nO ran\n", "ner")
    assert data.examples[0] == TokenExample(("I", "saw", "Ada", "L"), ("O", "O", "B-PER", "I-PER"))


def test_lemmas_and_sentence_numbers_are_no_labels(tmp_path: Path) -> None:
    rows = ["7\tAda\tada\tPROPN", "7\tran\trun\tVERB", "", "8\tBob\tbob\tPROPN", "8\tsits\tsit\tVERB"]
    data = read(tmp_path, "\n".join(rows), "pos")
    assert data.examples[0] == TokenExample(("Ada", "ran"), ("PROPN", "VERB"))


def test_universal_ner_has_an_index_and_empty_columns(tmp_path: Path) -> None:
    text = "# sent_id = 1\n# text = Ada ran\n1\tAda\tB-PER\t-\t-\n2\tran\tO\t-\t-\n"
    data = read(tmp_path, text, "ner", "en.iob2")
    assert data.examples == (TokenExample(("Ada", "ran"), ("B-PER", "O")),)


def test_two_kinds_of_tags_are_asked_about(tmp_path: Path) -> None:
    text = "EU\tNNP\tPROPN\nran\tVBD\tVERB\nof\tIN\tADP\n\nEU\tNNP\tPROPN\nof\tIN\tADP\n"
    assert "column 2, column 3 could hold the label" in refusal(tmp_path, text, "pos")
    assert read(tmp_path, text, "pos", label="3").labels == ("ADP", "PROPN", "VERB")


def test_a_column_beyond_the_last(tmp_path: Path) -> None:
    assert "where 9 are needed" in refusal(tmp_path, "a O\nb B-X\n", "ner", label="9")


def test_lines_of_all_widths_are_no_columns(tmp_path: Path) -> None:
    said = refusal(tmp_path, "The/DET dog/NOUN runs/VERB\nA/DET cat/NOUN\n", "pos", "a.txt")
    assert "write a word and its label on each line" in said


def test_cells_are_cut_at_tabs_where_there_are_any(tmp_path: Path) -> None:
    text = "New  York\tB-LOC\n10\u00a0000 m\tO\n\nx\tO\ny\tB-LOC"
    for end in ("\n", "\r\n"):
        data = read(tmp_path, text.replace("\n", end), "ner")
        assert data.texts == ("New  York 10\u00a0000 m", "x y")


def test_conllu_fields_with_two_blanks_keep_their_places(tmp_path: Path) -> None:
    rows = [
        "1\tten  thousand\tten\tNUM\t_\t_\t2\tnummod\t_\tGloss=a  b",
        "2\tmen\tman\tNOUN\t_\t_\t0\troot\t_\t_",
    ]
    data = read(tmp_path, "\n".join(rows), "pos", "a.conllu")
    assert data.examples == (TokenExample(("ten  thousand", "men"), ("NUM", "NOUN")),)


def test_several_files_are_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "x1.conll").write_text("a O\nb B-X\n")
    (tmp_path / "x2.conll").write_text("c O\n")
    task: dict[str, Any] = {"task": TASKS["ner"], "role": "train"}
    for spec in (f"{tmp_path}/x1.conll+{tmp_path}/x2.conll", f"{tmp_path}/*.conll"):
        data = read_labelled(spec, **task)
        assert data.texts == ("a b", "c")
    with pytest.raises(InputError, match=r"no file .* matches"):
        read_labelled(f"{tmp_path}/*.tsv", **task)
    with pytest.raises(InputError, match=r"is a folder: name a file in it \(x1.conll, x2.conll\)"):
        read_labelled(tmp_path, **task)

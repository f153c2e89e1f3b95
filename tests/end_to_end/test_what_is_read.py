"""What people's files hold, read through the command line: small siblings of inputs that once went wrong."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import advisor as package
from advisor.cli import main
from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.catalogue import TASKS
from probes.data import TokenExample, read_labelled
from tests.conftest import Checkpoint
from tests.unit.data.test_spans import SCHEMES, Span


class Read(NamedTuple):
    code: int
    inputs: list[dict[str, Any]]
    error: str


Reader = Callable[..., Read]

PAIRS = "Hello\tHei\nBye\tNäkemiin\n"
BIO = "meet\tO\nAda\tB-PER\nLovelace\tI-PER\n\nin\tO\nTurku\tB-LOC\n"
IOBES = "tapaa\tO\nBob\tS-PER\n\nmeni\tO\nUusi\tB-LOC\nYork\tE-LOC\n"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Reader:
    """Write files, and ask the command what it would read of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "2000")

    def run(files: dict[str, str | bytes], task: str = "ner", target: str = "fi", **named: str) -> Read:
        for name, content in {"train.conll": BIO, "pairs.tsv": PAIRS, **files}.items():
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {"train": "train.conll", "bitext": "pairs.tsv", **named}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        question = ["--source", "en", "--target", target, "--task", task]
        monkeypatch.setattr(
            sys, "argv", ["advisor", "probe", "bundled", *question, *arguments, "--dry-run", "--json"]
        )
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        inputs = json.loads(printed.out) if stop.value.code == 0 else []
        return Read(stop.value.code, inputs, " ".join(printed.err.partition("Error:")[2].split()))

    return run


def test_train_in_one_scheme_and_test_in_another(read: Reader) -> None:
    found = read({"test.conll": IOBES}, target_labels="test.conll")
    train, test, _ = found.inputs
    assert (train["scheme"], test["scheme"]) == ("BIO", "IOBES")
    assert test["samples"] == [["tapaa Bob", "O B-PER"]]  # training never shows I-LOC
    assert test["dropped"] == {"a label unknown in training": 1}
    both = read(
        {"train.conll": BIO + "\nto\tO\nNew\tB-LOC\nYork\tI-LOC\n", "t.conll": IOBES}, target_labels="t.conll"
    )
    assert both.inputs[1]["samples"] == [["tapaa Bob", "O B-PER"], ["meni Uusi York", "O B-LOC I-LOC"]]


def spans_of(code: str) -> list[tuple[list[str], list[Span]]]:
    """Words and made-up spans of the sample: its marks, its determiners with the next word, its pronouns."""
    data = read_labelled(str(sample_path(f"{code}.conllu")), TASKS["pos"], role="train")
    rows = []
    for example in data.examples:
        assert isinstance(example, TokenExample)
        found: list[Span] = []
        for i, tag in enumerate(example.labels):
            if tag in ("PUNCT", "DET", "PRON") and (not found or found[-1][1] <= i):
                found.append((i, i + 1 + (tag == "DET"), tag))
        rows.append(([*example.words], found))
    return rows


def written(name: str, scheme: str, rows: list[tuple[list[str], list[Span]]]) -> None:
    blocks = (
        "".join(f"{w}\t{t}\n" for w, t in zip(words, SCHEMES[scheme](found, len(words)), strict=True))
        for words, found in rows
    )
    Path(name).write_text("\n".join(blocks))


@pytest.mark.slow
def test_the_same_spans_give_the_same_score_in_every_scheme(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BUDGETS, "quick", Budget("quick", 4, 4, 40, 20, 2, 24, 64))
    rows = {code: spans_of(code) for code in ("en", "tr")}
    measured = []
    for train, test in (("IOB2", "IOB2"), ("IOBES", "IOB1"), ("IOB1", "BILOU")):
        written("train.conll", train, rows["en"])
        written("test.conll", test, rows["tr"])
        question = {"source": "en", "target": "tr", "task": "ner", "budget": "quick"}
        data = {"train": "train.conll", "target_labels": "test.conll"}
        bitext = sample_path("bitext.en-tr.tsv")
        signals = package.probe(str(checkpoint("bert")), bitext=bitext, **question, **data).signals
        assert signals is not None
        schemes = {fact.role: fact.scheme for fact in signals.data if fact.scheme}
        named = ("BIO" if scheme in ("IOB1", "IOB2") else scheme for scheme in (train, test))
        assert tuple(schemes.values()) == tuple(named)
        measured.append(signals.model_dump(exclude={"run", "data"}))
    assert 0 < measured[0]["transfer"]["target"]["value"] < 100
    assert all(other == measured[0] for other in measured)


def test_two_layers_are_asked_about_and_the_answer_is_taken(read: Reader) -> None:
    layers = "".join(f"{line}\tO\n" if line else "\n" for line in BIO.splitlines())
    asked = read({"train.tsv": layers}, train="train.tsv")
    assert asked.code == 2
    assert "column 2, column 3 could hold the label: name it with --label-column" in asked.error
    told = read({"train.tsv": layers}, train="train.tsv", label_column="2", word_column="1")
    assert told.inputs[0]["columns"] == {"words": "column 1", "labels": "column 2"}


def test_declared_columns_of_conllu_plus(read: Reader) -> None:
    plus = "# global.columns = ID FORM UPOS X:MWE\n1\tIt\tPRON\t*\n2\tis\tAUX\t1:VID\n"
    found = read({"train.conllup": plus}, task="pos", train="train.conllup")
    assert found.inputs[0]["columns"] == {"words": "FORM", "labels": "UPOS"}
    assert found.inputs[0]["labels"] == {"PRON": 1, "AUX": 1}


@pytest.mark.parametrize(
    "spec", ["one.tsv,two.tsv,three.tsv", "one.tsv+two.tsv+three.tsv", "*e*.tsv,two.tsv"]
)
def test_no_file_of_three_vanishes(read: Reader, spec: str) -> None:
    files = {name: f"{name} a\t{name} b\n" for name in ("one.tsv", "two.tsv", "three.tsv")}
    assert read(dict(files), bitext=spec).inputs[-1]["kept"] == 3


def test_codes_within_segments_are_dropped(read: Reader) -> None:
    segment = (
        '<seg><bpt i="1">&lt;strong class="c"&gt;</bpt>{}<ept i="1">&lt;/strong&gt;</ept><ph x="2"/></seg>'
    )
    units = "".join(
        f'<tuv xml:lang="{code}">{segment.format(text)}</tuv>'
        for code, text in (("EN-US", "Hi"), ("FI", "Hei"))
    )
    found = read({"a.tmx": f"<tmx><body><tu>{units}</tu></body></tmx>"}, bitext="a.tmx")
    assert found.inputs[-1]["samples"] == [["Hi", "Hei"]]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.tsv", "a.csv"])
def test_minus_one_is_no_label_and_is_counted(read: Reader, name: str) -> None:
    rows = [("a b", "c", 0), ("d e", "f", 1), ("g h", "i", -1)]
    keys = ("premise", "hypothesis", "label")
    separator = {".tsv": "\t", ".csv": ","}.get(Path(name).suffix)
    objects = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
    text = "\n".join(objects) if name == "a.jsonl" else f"[{', '.join(objects)}]"
    if separator is not None:
        text = "".join(separator.join(map(str, row)) + "\n" for row in (keys, *rows))
    found = read({name: text}, task="nli", train=name)
    assert found.inputs[0]["labels"] == {"0": 1, "1": 1}
    assert found.inputs[0]["dropped"] == {"no label (-1)": 1}


def test_fractions_are_no_classes(read: Reader) -> None:
    rows = "\n".join(json.dumps({"text": f"t{x}", "label": x}) for x in (0.0, 0.25, 1.0))
    found = read({"a.jsonl": rows}, task="sentiment", train="a.jsonl")
    assert found.code == 2
    assert "labels that are not whole numbers (0.25)" in found.error


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_key_missing_in_the_first_line_and_an_array(read: Reader, name: str) -> None:
    rows = [json.dumps(row) for row in ({"en": "Preface"}, {"en": "Hi", "fi": "Hei"})]
    text = "\n".join(rows) if name == "a.jsonl" else "[\n" + ",\n".join(rows) + "\n]"
    found = read({name: text}, bitext=name).inputs[-1]
    assert (found["read"], found["kept"], found["dropped"]) == (2, 1, {"empty side": 1})


def test_a_compressed_file_is_read(read: Reader) -> None:
    found = read({"a.tsv.gz": gzip.compress(PAIRS.encode())}, bitext="a.tsv.gz")
    assert found.inputs[-1]["samples"] == [["Hello", "Hei"], ["Bye", "Näkemiin"]]


def test_locales_with_modifiers(read: Reader) -> None:
    head = 'msgid ""\nmsgstr "Language: sr@latin\\nContent-Type: text/plain; charset=UTF-8\\n"\n'
    po = head + '\nmsgid "Hi you"\nmsgstr "Zdravo"\n'
    assert read({"a.po": po}, target="sr", bitext="a.po").inputs[-1]["samples"] == [["Hi you", "Zdravo"]]


def test_other_languages_of_an_xliff_are_dropped(read: Reader) -> None:
    files = "".join(
        f'<file source-language="en" target-language="{code}"><body><trans-unit id="1"><source>Hi</source>'
        f"<target>{text}</target></trans-unit></body></file>"
        for code, text in (("fi", "Hei"), ("sv", "Hej"))
    )
    found = read({"a.xlf": f'<xliff version="1.2">{files}</xliff>'}, bitext="a.xlf").inputs[-1]
    assert found["samples"] == [["Hi", "Hei"]]
    assert found["dropped"] == {"in other languages (en to sv)": 1}


def test_fields_are_cut_at_tabs_alone(read: Reader) -> None:
    row = "{}\t{}\t_\t{}\t_\t_\t0\troot\t_\t_\n".format
    found = read(
        {"a.conllu": row(1, "ten  thousand", "NUM") + row(2, "men", "NOUN")}, task="pos", train="a.conllu"
    )
    assert found.inputs[0]["samples"] == [["ten  thousand men", "NUM NOUN"]]
    assert found.inputs[0]["labels"] == {"NUM": 1, "NOUN": 1}


def test_in_words_everything_is_said(
    read: Reader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read({})
    monkeypatch.setattr(sys, "argv", [argument for argument in sys.argv if argument != "--json"])
    with pytest.raises(SystemExit):
        main()
    out = capsys.readouterr().out
    assert (
        "labelled source data: train.conll (conll; words from column 1, labels from column 2; tags in BIO)"
        in out
    )
    assert "2 of 2 kept; dropped: nothing" in out
    assert "4 labels: O 2, B-PER 1, I-PER 1, B-LOC 1" in out
    assert "first: meet Ada Lovelace | O B-PER I-PER" in out
    assert "bitext: pairs.tsv (tsv; English from column 1, Finnish from column 2)" in out
    assert not Path("advice").exists()


def test_labels_of_the_wrong_language_are_noticed(read: Reader) -> None:
    sentences = sample_path("en.conllu").read_text(encoding="utf-8").split("\n\n")
    files = {"train.conllu": "\n\n".join(sentences[:60]), "test.conllu": "\n\n".join(sentences[60:])}
    pairs = str(sample_path("bitext.en-tr.tsv"))
    options = {"task": "pos", "target": "tr", "train": "train.conllu", "bitext": pairs}
    found = read(dict(files), target_labels="test.conllu", **options)
    assert found.inputs[0]["notes"] == []
    note = "reads more like the English side of the bitext than like the Turkish side"
    assert found.inputs[1]["notes"] == [note]

"""The bad input matrix: what people really produce, for every command and every input.

Each case is refused with exit code 2, one sentence that names cause and cure, nothing on standard output
and nothing written. At the end stand the inputs that look odd and must not be refused.
"""

import errno
import json
import math
import os
import pickle
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.torch import load_file, save_file

import advisor as package
from advisor.advice import Advice
from advisor.cli import main
from advisor.console import PhaseBar
from advisor.report import Report
from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.signals import Signals
from tests.conftest import Checkpoint
from tests.factories import make_signals

# --- how a case is written ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A file with this content, made for the case; the option gets its path."""

    name: str
    content: str | bytes


Value = str | File | tuple[File, File]
"""What an option is given; two files are joined by a comma, as line-aligned bitext is."""


@dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
        what: is wrong, as the name of the test.
        given: options other than the good ones; ``model`` is the argument.
        says: what the sentence must hold.
    """

    what: str
    given: Mapping[str, Value]
    says: tuple[str, ...]


def case(what: str, says: str | tuple[str, ...], **given: Value) -> Case:
    """A case; ``says`` is one text or several."""
    options = {name.replace("_", "-"): value for name, value in given.items()}
    return Case(what, options, (says,) if isinstance(says, str) else says)


def words(*rows: str, upos: str = "NOUN") -> str:
    """CoNLL-U of one sentence for each row, every word with the same tag."""
    return "\n".join(
        "".join(f"{i}\t{word}\t_\t{upos}\t_\t_\t_\t_\t_\t_\n" for i, word in enumerate(row.split(), 1))
        for row in rows
    )


def topics(*rows: str) -> str:
    """A topic table with its header; rows are ``text|label``."""
    return "".join(row.replace("|", "\t") + "\n" for row in ("text|label", *rows))


ENGLISH = ("I read.", "She runs.", "We eat.")
SWAPPED = File(
    "swapped.tsv",
    "".join(
        "\t".join(reversed(row.split("\t"))) + "\n"
        for row in sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines()
    ),
)
TURKISH = ("Okurum.", "Koşar.", "Yeriz.")
LONG = "x" * 1_000_001

# --- the question ------------------------------------------------------------------------------------------

QUESTIONS = [
    case("language typo", ("turkich", "Turkish"), target="turkich"),
    case("language that does not exist", "xx", target="xx"),
    case("empty language", "No language", target=""),
    case("a country for a language", ("'jp'", "Japanese (ja)"), target="jp"),
    case("a family for a language", "'trk'", target="trk"),
    case("control characters for a language", "No language", target="\x1b[2J"),
    case("source equal to target", "both English", target="en"),
    case("source equal to target in another form", "both English", target="eng_Latn"),
    case("unknown task", ("poss", "pos"), task="poss"),
    case("empty task", "task", task=""),
    case("unknown device", ("quantum", "--device auto"), device="quantum"),
]

# --- labelled data -----------------------------------------------------------------------------------------

LABELLED = [
    case("missing file", ("no file nowhere.conllu",), train="nowhere.conllu"),
    case("typo in a file's name", "did you mean train.conllu", train="trian.conllu"),
    case("a folder", ("folder", "name a file"), train="."),
    case("empty name", "''", train=""),
    case("NUL in the name", "Cannot read", train="a\0b"),
    case("a name too long", "Cannot read", train="n" * 300),
    case("empty file", "is empty", train=File("empty.conllu", "")),
    case("byte order mark only", "no usable example", train=File("bom.conllu", "\ufeff")),
    case("blank lines only", "no usable example", train=File("blank.conllu", "\n\n \n")),
    case("Latin-1", ("not UTF-8", "byte 2", "iconv"), train=File("l.conllu", "1\tété".encode("latin-1"))),
    case("UTF-16 without a mark", "NUL", train=File("u.conllu", words("Hello").encode("utf-16-le"))),
    case("half a UTF-16 file", "not UTF-16", train=File("u.conllu", "a".encode("utf-16") + b"\0")),
    case("NUL bytes", "NUL", train=File("nul.conllu", "1\ta\0b\n")),
    case("a picture", "not UTF-8", train=File("p.conllu", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
    case("gzip cut short", ("compressed", "copy"), train=File("g.conllu", b"\x1f\x8b\x08\0\0")),
    case("no UPOS", "a word without UPOS", train=File("bare.conllu", words("Hello", upos="_"))),
    case(
        "two columns under the name of ten", "one label set", train=File("2.conllu", "Hi\tINTJ\nyou\tPRON\n")
    ),
    case("multiword tokens only", "no word", train=File("m.conllu", "1-2\tdel" + "\t_" * 8 + "\n")),
    case("one label", ("'NOUN'", "two labels"), train=File("one.conllu", words("dog cat", "cow"))),
    case("a megabyte in one line only", "line over", train=File("long.conllu", f"1\t{LONG}\n")),
    case("bitext as labelled data", "", train=str(sample_path("bitext.en-tr.tsv"))),
    case("words for topics", "labels for words", task="topic", train=File("w.conllu", words("a"))),
    case("CSV for words", "CSV", train=File("w.csv", "word,tag\nHello,INTJ\n")),
    case("one column of words", "1 column", task="ner", train=File("w.conll", "Hello\nworld\n")),
    case("no span tags", "outside a span", task="ner", train=File("w.conll", "Ada PER\nran VERB\n")),
    case("header missing", "add a header", task="topic", train=File("t.tsv", "Hello\tgreeting\n")),
    case("header only", "no usable example", task="topic", train=File("t.tsv", topics())),
    case("header twice", "several columns", task="topic", train=File("t.tsv", "text\ttext\tlabel\n")),
    case("no label column", "label", task="topic", train=File("t.tsv", "text\nHello\n")),
    case("a row too short", "2 columns", task="topic", train=File("t.tsv", topics("Hello"))),
    case("a row too long", "2 columns", task="topic", train=File("t.tsv", topics("a|b|c"))),
    case("labels missing", "no label", task="topic", train=File("t.tsv", topics("a|", "b|"))),
    case("texts missing", "empty text", task="topic", train=File("t.tsv", topics("|x", "|y"))),
    case("one topic", "two labels", task="topic", train=File("t.tsv", topics("a|x", "b|x"))),
    case(
        "text and label swapped",
        "looks like text",
        task="topic",
        text_column="label",
        label_column="text",
        train=File("t.tsv", topics(*(f"text number {i}|x" for i in range(60)))),
    ),
    case(
        "a column that is not there",
        "'tag'",
        task="topic",
        label_column="tag",
        train=File("t.tsv", topics("a|x")),
    ),
    case("open quote in CSV", "close each", task="topic", train=File("t.csv", 'text,label\n"a,b\n')),
    case("semicolons in TSV", "no column", task="topic", train=File("t.tsv", "text;label\na;x\n")),
    case("JSON of numbers", "one example a line", task="topic", train=File("t.json", "[[1, 2], [3, 4]]")),
    case("broken JSON", "no line that is a JSON", task="topic", train=File("t.jsonl", '{"text": "a"\n')),
    case("JSON of other keys", "no column", task="topic", train=File("t.jsonl", '{"a": 1}\n')),
    case(
        "numbers for texts", "empty text", task="topic", train=File("t.jsonl", '{"text": 1, "label": "x"}\n')
    ),
    case(
        "half a surrogate",
        "empty text",
        task="topic",
        train=File("t.jsonl", '{"text": "\\ud800", "label": "x"}\n'),
    ),
    case("truncated Parquet", "Parquet", task="topic", train=File("t.parquet", b"PAR1\0\0")),
    case("text as Parquet", "Parquet", task="topic", train=File("t.parquet", topics("a|x"))),
    case("one text of a pair", "first text", task="nli", train=File("t.tsv", "premise\tlabel\na\tx\n")),
    case("a data set out of reach", "Hub", task="topic", train="hf:nobody/nothing:train"),
    case("a data set without a name", "names no data set", task="topic", train="hf:"),
    case("target labels missing", "no file", target_labels="nowhere.conllu"),
    case("target labels empty", "is empty", target_labels=File("e.conllu", "")),
    case(
        "another label set in the target",
        ("'HAUS'", "one label set"),
        target_labels=File("other.conllu", words("Ev", upos="HAUS") + "\n" + words("Su", upos="WASSER")),
    ),
]

# --- bitext ------------------------------------------------------------------------------------------------

BITEXT = [
    case("missing file", "no file nowhere.tsv", bitext="nowhere.tsv"),
    case("a folder", "folder", bitext="."),
    case("empty name", "''", bitext=""),
    case("empty file", "is empty", bitext=File("b.tsv", "")),
    case("byte order mark only", "", bitext=File("b.tsv", "\ufeff")),
    case("Latin-1", "not UTF-8", bitext=File("b.tsv", "caf\xe9\tkahve\n".encode("latin-1"))),
    case("NUL bytes", "NUL", bitext=File("b.tsv", "a\0\tb\n")),
    case("one column", ("1 column", "one tab"), bitext=File("b.tsv", "only English\n")),
    case("three columns", "3 columns", bitext=File("b.tsv", "a\tb\t0.9\n")),
    case("header only", "no usable pair", bitext=File("b.tsv", "en\ttr\n")),
    case("empty sides", "empty side", bitext=File("b.tsv", "I read.\t\n\tOkurum.\n")),
    case("the source twice", "same text on both sides", bitext=File("b.tsv", "I read.\tI read.\n")),
    case("a megabyte in one line only", "line over", bitext=File("b.tsv", f"{LONG}\tb\n")),
    case(
        "three pairs",
        ("pairs", "bring"),
        bitext=File("b.tsv", "".join(f"{e}\t{t}\n" for e, t in zip(ENGLISH, TURKISH, strict=True))),
    ),
    case("direction in the same script", ("English side", "swap"), bitext=SWAPPED),
    case(
        "sides of different length",
        ("a.en has 2", "a.tr has 1"),
        bitext=(File("a.en", "a\nb\n"), File("a.tr", "c\n")),
    ),
    case("one of two files missing", "no file", bitext="en.conllu,nowhere.tr"),
    case("one file that is missing of three", "no file a", bitext="a,b,c"),
    case("empty part", "empty part", bitext="a.tsv+"),
    case("no format", "no bitext", bitext=File("b.txt", "just a line\n")),
    case("TMX cut short", ("not TMX", "export"), bitext=File("b.tmx", "<tmx version='1.4'><body><tu>")),
    case(
        "TMX of other languages",
        ("its languages are", "de"),
        bitext=File(
            "b.tmx",
            "<tmx version='1.4'><header/><body><tu><tuv xml:lang='de'><seg>a</seg></tuv></tu></body></tmx>",
        ),
    ),
    case("text as TMX", "not TMX", bitext=File("b.tmx", "a\tb\n")),
    case(
        "PO of another language",
        "de",
        bitext=File("b.po", 'msgid ""\nmsgstr "Language: de\\n"\n\nmsgid "a"\nmsgstr "b"\n'),
    ),
    case("PO that is none", "b.po", bitext=File("b.po", "hello world\n")),
    case("XLIFF cut short", "not XLIFF", bitext=File("b.xlf", "<xliff version='1.2'><file>")),
    case("JSON of other keys", "call them en and tr", bitext=File("b.jsonl", '{"a": "x", "b": "y"}\n')),
    case("broken JSON", "JSON", bitext=File("b.jsonl", "{\n")),
    case("text as Parquet", "Parquet", bitext=File("b.parquet", "a\tb\n")),
    case("labelled data as bitext", "no bitext", bitext=str(sample_path("en.conllu"))),
    case("a data set out of reach", "Hub", bitext="hf:nobody/nothing:train"),
]

# --- dictionary and word links -----------------------------------------------------------------------------

WORDS = [
    case("missing dictionary", "no file", dictionary="nowhere.tsv"),
    case("empty dictionary", "is empty", dictionary=File("d.tsv", "")),
    case(
        "dictionary in Latin-1", "not UTF-8", dictionary=File("d.tsv", "caf\xe9\tkahve\n".encode("latin-1"))
    ),
    case("dictionary of one column", "source word, a tab", dictionary=File("d.tsv", "dog\n")),
    case("missing word links", "no file", word_links="nowhere.txt"),
    case("empty word links", "is empty", word_links=File("l.txt", "")),
    case("too few word links", ("1 lines", "one line for each pair"), word_links=File("l.txt", "0-0\n")),
    case("links counted in words", "Pharaoh", word_links=File("l.txt", "dog-köpek\n" * 120)),
    case("links with negative indices", "Pharaoh", word_links=File("l.txt", "-1-0\n" * 120)),
    case("both of them", "one of the two", dictionary="a.tsv", word_links="b.txt"),
]

DATA = {
    f"{group}: {wrong.what}": wrong
    for group, cases in {
        "question": QUESTIONS,
        "labelled data": LABELLED,
        "bitext": BITEXT,
        "words": WORDS,
    }.items()
    for wrong in cases
}

# --- model folders -----------------------------------------------------------------------------------------


def _config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def _with_weight(value: float) -> Callable[[Path], None]:
    """Every weight of one matrix is ``value``."""

    def spoil(folder: Path) -> None:
        tensors = load_file(_weights(folder))
        name = "bert.encoder.layer.0.attention.self.value.weight"
        save_file({**tensors, name: tensors[name].fill_(value)}, _weights(folder), {"format": "pt"})

    return spoil


def _folder_for_weights(folder: Path) -> None:
    _weights(folder).unlink()
    _weights(folder).mkdir()


def _pickled(folder: Path) -> None:
    _weights(folder).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": [0.0]}))


def _pooling(folder: Path, **stated: object) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))


def _no_tokenizer(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()


def _only_an_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    _weights(folder).unlink()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(b"")


def _only_a_sentencepiece_model(folder: Path) -> None:
    _no_tokenizer(folder)
    (folder / "sentencepiece.bpe.model").write_bytes(b"\n\x0e\n\x05<unk>")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')


MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    # what was done to a good folder, and what the sentence must hold
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "config that is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    "config that is a list": (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
    "config in Latin-1": (
        lambda folder: (folder / "config.json").write_bytes(b'{"a": "\xe9"}'),
        "config.json",
    ),
    "config of an unknown type": (lambda folder: _config(folder, model_type="mine"), "config.json"),
    "config of a decoder": (lambda folder: _config(folder, model_type="gpt2"), "decoder"),
    "config of other sizes": (lambda folder: _config(folder, intermediate_size=64), "do not fit"),
    "config of negative sizes": (lambda folder: _config(folder, hidden_size=-1), ""),
    "config with words for sizes": (lambda folder: _config(folder, hidden_size="big"), ""),
    "code of its own": (
        lambda folder: _config(folder, model_type="mine", auto_map={"AutoConfig": "mine.Config"}),
        "code of its own",
    ),
    "no weights": (lambda folder: _weights(folder).unlink(), "safetensors"),
    "a pickle for weights": (_pickled, "safetensors"),
    "weights cut short": (lambda folder: os.truncate(_weights(folder), 5000), "damaged"),
    "empty weights": (lambda folder: os.truncate(_weights(folder), 0), "damaged"),
    "text for weights": (lambda folder: _weights(folder).write_text("<html>not found</html>"), "damaged"),
    "a Git LFS pointer for weights": (
        lambda folder: _weights(folder).write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
        ),
        "damaged",
    ),
    "a folder for weights": (
        _folder_for_weights,
        "safetensors",
    ),
    "a weight that is not a number": (_with_weight(math.nan), "not numbers"),
    "an infinite weight": (_with_weight(math.inf), "not numbers"),
    "weights so large that numbers overflow": (_with_weight(1e38), "not numbers"),
    "an adapter beside the weights": (
        lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}'),
        "a LORA adapter beside the model, which would be measured without it: merge it first",
    ),
    "an adapter alone": (_only_an_adapter, "merge it"),
    "a SentencePiece model alone": (
        _only_a_sentencepiece_model,
        "tokenizer" if find_spec("sentencepiece") else "pip install sentencepiece",
    ),
    "a pooling that is none": (
        lambda folder: _pooling(folder, pooling_mode="sum"),
        "the pooling sum, which is not supported",
    ),
    "no tokenizer": (_no_tokenizer, "tokenizer"),
    "tokenizer that is no JSON": (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer"),
}

NAMES = {
    # models that are no folder
    "./no-such-folder": "Cannot find",
    "nobody/no-such-model": "Cannot find",
    "not a name": "Cannot find",
    "": "no model folder",
    "../../etc/passwd": "Cannot find",
    "train.conllu": "no model folder",
    "bundeled": "Cannot find",
}

# --- signals -----------------------------------------------------------------------------------------------


def _signals(**changes: object) -> str:
    return json.dumps(json.loads(make_signals().model_dump_json()) | changes)


SIGNALS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "not a signals file"),
    "no JSON": ("no json", "not a signals file"),
    "another object": ("{}", "not a signals file"),
    "a list": ("[]", "not a signals file"),
    "null": ("null", "not a signals file"),
    "not UTF-8": (_signals().replace("tr.dev", "\xe9").encode("latin-1"), "not a signals file"),
    "NUL bytes": ("\0\0", "not a signals file"),
    "cut short": (_signals()[:-2], "not a signals file"),
    "a later schema": (_signals(schema_version=2), "schema 2, and this older version reads schema 1"),
    "an earlier schema": (_signals(schema_version=0), "schema 0, and this version reads schema 1"),
    "a number that is none": (_signals().replace('"null_sd": 0', '"null_sd": NaN, "x": 0', 1), "finite"),
    "an infinite number": (_signals().replace('"null_sd": 0', '"null_sd": Infinity, "x": 0', 1), "finite"),
    "a field too many": (_signals(hint="align"), "hint"),
    "a language that is none": (_signals(target="zz"), "zz"),
    "a task that is none": (_signals(task={**json.loads(_signals())["task"], "name": "x"}), "'x'"),
    "one language twice": (_signals(target="en"), "English"),
}

# --- plans of studies --------------------------------------------------------------------------------------

PLAN = """
models: {tiny: MODEL}
pairs: [{target: tr, bitext: SAMPLE/bitext.en-tr.tsv}]
tasks: {pos: {train: "SAMPLE/{source}.conllu", target_test: "SAMPLE/{target}.conllu"}}
options: ["sentence-contrastive:joint:0.1"]
seeds: [0]
"""

PLANS: dict[str, tuple[str | bytes, str]] = {
    # what stands in plan.yaml, and what the sentence must hold
    "empty": ("", "plan"),
    "no YAML": ("models: [", "YAML"),
    "a list": ("- models", "plan"),
    "not UTF-8": (b"models: \xe9\n", "YAML"),
    "NUL bytes": ("models: \0", "YAML"),
    "an object of Python": ("models: !!python/object/apply:os.system [exit]", "YAML"),
    "aliases without end": ("models: &a [*a]", "alias"),
    "a date as a key": (PLAN + "2024-01-01: x\n", "YAML"),
    "a day that is none": (PLAN + "probe: 2024-99-99\n", "YAML"),
    "a key twice": (PLAN + "options: []\n", "twice"),
    "a key too many": (PLAN + "colour: red\n", "colour"),
    "no pairs": ("models: {tiny: MODEL}\n", "pairs"),
    "a language that is none": (PLAN.replace("target: tr", "target: turkich"), "turkich"),
    "an option that is none": (PLAN.replace("sentence-contrastive", "sentence-salad"), "sentence-salad"),
    "a name that is a path": (PLAN.replace("tiny:", "../tiny:"), "tiny"),
    "a task that is none": (PLAN.replace("tasks: {pos", "tasks: {poss"), "poss"),
    "data that are missing": (PLAN.replace("{source}.conllu", "nowhere.conllu"), "nowhere.conllu"),
    "a seed below 0": (PLAN.replace("seeds: [0]", "seeds: [-1]"), "seeds"),
    "a rate that is no number": (PLAN + "training: {learning_rate: .nan}\n", "learning_rate"),
}

# --- other options -----------------------------------------------------------------------------------------

USAGE = [
    "no-such-command",
    "ask",
    "ask --model m --target tr",
    "ask --model m --target tr --task pos --colour red",
    "ask --model m --target tr --task pos --min-gain much",
    "ask --model m --target tr --task pos --min-gain",
    "recommend",
    "recommend a.json b.json",
    "probe",
    "probe bundled --source en --target tr --task pos",
    "probe bundled --source en --target tr --task pos --train a --bitext b --budget huge",
    "probe bundled --source en --target tr --task pos --train a --bitext b --seed -1",
    "trial bundled --source en --target tr --task pos --train a --bitext b --seeds 0",
    "trial bundled --source en --target tr --task pos --train a --bitext b --steps 0",
    "trial bundled --source en --target tr --task pos --train a --bitext b --seeds three",
    "demo --task nli",
    "app --port 0",
    "app --port 99999",
    "serve --port http",
    "findings validate --split continent",
    "findings validate --jobs 0",
    "study",
    "study plan",
    "study plan plan.yaml --out other.yaml",
    "study run plan.yaml --jobs 0",
    "study compile",
    "study pack plan.yaml --limit-mib 0",
]

REFUSED: dict[str, tuple[str, ...]] = {
    # command line -> what the sentence must hold
    "ask --model m --target turkich --task pos": ("turkich", "Turkish"),
    "ask --model m --target en --task pos": ("English",),
    "ask --model m --target tr --task poss": ("poss", "pos"),
    "ask --model m --target tr --task pos --min-gain -1": ("-1", "0 or more"),
    "ask --model m --target tr --task pos --min-gain nan": ("nan", "0 or more"),
    "ask --model m --target tr --task pos --min-gain inf": ("inf", "0 or more"),
    "ask --model m --target tr --task pos --word-pairs guess": ("guess", "dictionary"),
    "ask --model m --target tr --task pos --trial nowhere": ("nowhere", "trial.json"),
    "recommend nowhere.json": ("nowhere.json", "signals.json"),
    "recommend .": ("signals.json",),
    "demo --target fr": ("fr", "tr, de, ru, ar, zh."),
    "study plan nowhere.yaml": ("nowhere.yaml",),
    "study plan .": ("Cannot read",),
    "study run nowhere.yaml": ("nowhere.yaml",),
    "study status nowhere": ("nowhere",),
    "study compile nowhere --out records.csv": ("nowhere",),
    "study pack nowhere.yaml": ("nowhere.yaml",),
    "serve --host 0.0.0.0": ("ADVISOR_TOKEN",),
    "serve --host example.org": ("ADVISOR_TOKEN",),
}

ENVIRONMENT: dict[str, tuple[str, ...]] = {
    # VARIABLE=value -> what the sentence of ``serve`` and ``app`` must hold
    "ADVISOR_ROOTS=nowhere": ("ADVISOR_ROOTS", "no folder"),
    "ADVISOR_MAX_UPLOAD_MB=much": ("ADVISOR_MAX_UPLOAD_MB", "much"),
    "ADVISOR_MAX_UPLOAD_MB=0": ("ADVISOR_MAX_UPLOAD_MB",),
    "ADVISOR_MAX_RUN_MINUTES=-1": ("ADVISOR_MAX_RUN_MINUTES",),
    "ADVISOR_MAX_RUN_MINUTES=nan": ("ADVISOR_MAX_RUN_MINUTES",),
    "ADVISOR_MAX_QUEUE=0": ("ADVISOR_MAX_QUEUE",),
    "ADVISOR_KEEP_DAYS=-1": ("ADVISOR_KEEP_DAYS",),
    "ADVISOR_LIST_ALL=perhaps": ("ADVISOR_LIST_ALL",),
}

# --- what must not be refused ------------------------------------------------------------------------------


def _ending(text: str) -> Callable[[str], str]:
    """Another last character (a full stop, mostly) for every sentence."""
    return lambda sentence: f"{sentence[:-1]} {text}"


LETTERS = string.ascii_letters + "ğüşıöçİĞÜŞÖÇ"
CUNEIFORM = {ord(letter): chr(0x12000 + i) for i, letter in enumerate(LETTERS)}
DIGITS = {ord(letter): str(i % 10) for i, letter in enumerate(LETTERS)}

ODD_FILES: dict[str, Callable[[str], str | bytes]] = {
    # what is done to every file
    "byte order mark": lambda text: "\ufeff" + text,
    "UTF-16": lambda text: text.encode("utf-16"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "no line end at the end": lambda text: text.rstrip("\n"),
    "blank lines at the end": lambda text: text + "\n\n",
    "decomposed characters": lambda text: unicodedata.normalize("NFD", text),
}


def batched(names: Iterable[str], size: int = 3) -> list[tuple[str, ...]]:
    """So many at a time, one a file."""
    return list(zip(*[iter(names)] * size, strict=True))


ODD_SENTENCES: dict[str, Callable[[str], str]] = {
    # what is done to every sentence of both languages
    "emoji": _ending("\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1f9\U0001f1f7"),
    "right-to-left text": _ending("\u200fשלום\u200f"),
    "stacked accents": _ending("z" + "\u0335\u0321\u034a" * 30),
    "no-break and zero-width spaces": lambda text: text.replace(" ", "\u00a0", 1).replace(" ", " \u200b"),
    "line and page separators": lambda text: text.replace(" ", "\u2028", 1).replace(" ", "\x0c"),
    "markup": _ending("<script>alert(1)</script> [/bold] {{ 7*7 }} $(id)"),
    "the tokenizer's own tokens": _ending("[MASK] [SEP] [PAD] [UNK]"),
    "a script that the tokenizer does not know": lambda text: text.translate(CUNEIFORM),
    "digits only": lambda text: text.translate(DIGITS),
    "a single character": lambda text: text[:1] + str(len(text)),
    "very long sentences": lambda text: " ".join([text] * 40),
}

# --- the tests ---------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def invoke(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Command]:
    """Run the command in this process, with ``tmp_path`` as its working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")  # so that no sentence is broken
    on_terminate = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["advisor", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return Outcome(stop.value.code, captured.out, captured.err)

    yield run
    signal.signal(signal.SIGTERM, on_terminate)


@pytest.fixture
def advisor(invoke: Command, tmp_path: Path) -> Command:
    """The same for commands that must not write anything."""

    def run(*arguments: object) -> Outcome:
        before = tree(tmp_path)
        outcome = invoke(*arguments)
        assert tree(tmp_path) == before, "something was written"
        return outcome

    return run


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def assert_refused(outcome: Outcome, says: Iterable[str]) -> None:
    """Exit code 2, nothing on standard output, and one sentence with a cause and a cure."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    message = outcome.err.partition("Error:")[2].strip()
    assert message.endswith("."), message
    assert "\n" not in message
    assert ": " in message, f"no cure in: {message}"
    for text in says:
        assert text in message, message


def given(options: Mapping[str, Value], folder: Path) -> dict[str, str]:
    """The options as they are typed, with their files made."""

    def typed(value: Value) -> str:
        if isinstance(value, File):
            content = value.content.encode() if isinstance(value.content, str) else value.content
            (folder / value.name).write_bytes(content)
            return value.name
        return value if isinstance(value, str) else ",".join(map(typed, value))

    return {name: typed(value) for name, value in options.items()}


def arguments(model: object, options: Mapping[str, Value], folder: Path) -> list[object]:
    """A model and options, those left out being good ones."""
    pattern = "topics.{}.tsv" if options.get("task") == "topic" else "{}.conllu"
    target = str(options.get("target", "tr"))
    known = target if target in ("de", "ru", "ar", "zh") else "tr"
    chosen = {
        "source": "en",
        "target": "tr",
        "task": "pos",
        "train": str(sample_path(pattern.format("en"))),
        "bitext": str(sample_path(f"bitext.en-{known}.tsv")),
        "target-labels": str(sample_path(pattern.format(known))),
        "out": "answer",
    } | given(options, folder)
    return [model, *(f"--{name}={value}" for name, value in chosen.items())]


@pytest.mark.parametrize("command", ["probe", "trial"])
@pytest.mark.parametrize("wrong", DATA)
def test_data(command: str, wrong: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path) -> None:
    shutil.copy(sample_path("en.conllu"), tmp_path / "train.conllu")
    outcome = advisor(command, *arguments(checkpoint("bert"), DATA[wrong].given, tmp_path))
    assert_refused(outcome, DATA[wrong].says)


@pytest.mark.parametrize("damage", MODELS)
def test_model_folder(damage: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path) -> None:
    spoil, says = MODELS[damage]
    shutil.copytree(checkpoint("bert"), tmp_path / "model")
    spoil(tmp_path / "model")
    assert_refused(advisor("probe", *arguments("./model", {}, tmp_path)), ["./model", says])


@pytest.mark.parametrize("name", NAMES)
def test_model_name(name: str, advisor: Command, tmp_path: Path) -> None:
    (tmp_path / "train.conllu").touch()
    assert_refused(advisor("probe", *arguments(name, {}, tmp_path)), [NAMES[name]])


@pytest.mark.parametrize("content", SIGNALS)
def test_signals(content: str, advisor: Command, tmp_path: Path) -> None:
    written, says = SIGNALS[content]
    given({"signals": File("signals.json", written)}, tmp_path)
    assert_refused(advisor("recommend", "signals.json"), [says])


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("content", PLANS)
def test_plan(content: str, command: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path) -> None:
    written, says = PLANS[content]
    if isinstance(written, str):
        samples = str(sample_path("en.conllu").parent)
        written = written.replace("MODEL", str(checkpoint("bert"))).replace("SAMPLE", samples)
    given({"plan": File("plan.yaml", written)}, tmp_path)
    assert_refused(advisor("study", command, "plan.yaml"), [says])


@pytest.mark.parametrize("line", USAGE)
def test_usage(line: str, advisor: Command) -> None:
    outcome = advisor(*line.split())
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert "Usage:" in outcome.err + outcome.out or "Error:" in outcome.err


@pytest.mark.parametrize("line", REFUSED)
def test_options(line: str, advisor: Command) -> None:
    assert_refused(advisor(*line.split()), REFUSED[line])


@pytest.mark.parametrize("command", ["app", "serve"])
@pytest.mark.parametrize("setting", ENVIRONMENT)
def test_environment(command: str, setting: str, advisor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*setting.split("="))
    assert_refused(advisor(command, "--port", "1"), ENVIRONMENT[setting])


def test_a_store_that_is_a_file(advisor: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    monkeypatch.setenv("ADVISOR_STORE", str(tmp_path / "store"))
    assert_refused(advisor("serve", "--port", "1"), ["ADVISOR_STORE"])


def test_a_short_token(advisor: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVISOR_TOKEN", "secret")
    assert_refused(advisor("serve", "--host", "0.0.0.0"), ["too short"])


@pytest.mark.parametrize("command", ["app", "serve"])
def test_a_port_that_is_taken(
    command: str, advisor: Command, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("ADVISOR_STORE", str(tmp_path_factory.mktemp("store")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["--no-browser"] if command == "app" else []
        outcome = advisor(command, "--port", port, *options)
    assert outcome.code == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: " in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["probe", "trial", "race"])
@pytest.mark.parametrize("out", ["taken", "taken/below", "taken/far/below", "n" * 300])
def test_output(command: str, out: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    outcome = advisor(command, *arguments(checkpoint("bert"), {"out": out}, tmp_path))
    assert_refused(outcome, [out[:5], "name a folder"])
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("least", ["-1", "nan", "inf"])
def test_a_gain_of_no_interest_is_refused_before_the_probe(
    least: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    outcome = advisor("probe", *arguments(checkpoint("bert"), {"min-gain": least}, tmp_path))
    assert_refused(outcome, [least, "0 or more"])
    assert "Probing" not in outcome.err


@pytest.mark.parametrize(
    "name", ["\\[/x].conllu", "[bold]", "[/]", "\x1b[31m.conllu", "a\nb", "\u202egnp", "💥"]
)
def test_names_that_would_steer_the_terminal(
    name: str, advisor: Command, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    outcome = advisor("probe", *arguments(checkpoint("bert"), {"train": name}, tmp_path))
    assert_refused(outcome, ["There is no file"])
    assert not set(outcome.err) & {"\x1b", "\u202e"}


def test_arguments_that_are_no_text(advisor: Command) -> None:
    # as Python hands over bytes that are not UTF-8
    outcome = advisor("ask", "--model", "\udcff", "--target", "tr", "--task", "pos", "--json")
    assert_refused(outcome, ["not valid UTF-8"])


@pytest.fixture
def small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "quick", Budget("quick", 4, 4, 40, 20, 2, 24, 64))


def probed(model: Path, folder: Path, task: str = "topic") -> Report:
    """What a probe finds in the files of ``folder``; nothing dropped uncounted, nothing not a number."""
    pattern = "topics.{}.tsv" if task == "topic" else "{}.conllu"
    report = package.probe(
        str(model),
        source="en",
        target="tr",
        task=task,
        train=folder / pattern.format("en"),
        target_labels=folder / pattern.format("tr"),
        bitext=folder / "bitext.en-tr.tsv",
        budget="quick",
    )
    assert report.signals is not None
    assert all(fact.read == fact.kept + sum(fact.dropped.values()) for fact in report.signals.data)
    assert Signals.model_validate_json(report.signals.model_dump_json()) == report.signals
    return report


def kept(report: Report) -> list[int]:
    assert report.signals is not None
    return [fact.kept for fact in report.signals.data]


@pytest.mark.usefixtures("small_probe")
@pytest.mark.parametrize("oddities", batched(ODD_FILES), ids=", ".join)
def test_odd_files_are_measured(oddities: Sequence[str], checkpoint: Checkpoint, tmp_path: Path) -> None:
    for oddity, name in zip(oddities, ("topics.en.tsv", "topics.tr.tsv", "bitext.en-tr.tsv"), strict=True):
        made = ODD_FILES[oddity](sample_path(name).read_text(encoding="utf-8"))
        (tmp_path / name).write_bytes(made if isinstance(made, bytes) else made.encode())
    assert kept(probed(checkpoint("bert"), tmp_path)) == [120, 120, 120]


@pytest.mark.usefixtures("small_probe")
@pytest.mark.parametrize(
    "oddities",
    [[*ODD_SENTENCES], *(pytest.param([name], marks=pytest.mark.exhaustive) for name in ODD_SENTENCES)],
)
def test_odd_sentences_are_measured(oddities: list[str], checkpoint: Checkpoint, tmp_path: Path) -> None:
    """All oddities among each other, and every one in all sentences."""
    change_every_sentence(tmp_path, lambda text: ODD_SENTENCES[oddities[len(text) % len(oddities)]](text))
    assert sum(kept(probed(checkpoint("bert"), tmp_path))) > 300


def change_every_sentence(folder: Path, change: Callable[[str], str]) -> None:
    """The sample's topics and bitext with other sentences."""
    for name in ("topics.en.tsv", "topics.tr.tsv"):
        header, *rows = sample_path(name).read_text(encoding="utf-8").splitlines()
        cells = [row.split("\t") for row in rows]
        lines = [header, *(f"{number}\t{topic}\t{change(text)}" for number, topic, text in cells)]
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    rows = sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").splitlines()
    lines = ["\t".join(map(change, row.split("\t"))) for row in rows]
    (folder / "bitext.en-tr.tsv").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.usefixtures("small_probe")
def test_a_line_over_a_megabyte_is_left_out_and_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    first = sample_path("bitext.en-tr.tsv").read_text(encoding="utf-8").partition("\t")[0]
    change_every_sentence(tmp_path, lambda text: text * 20_000 if text == first else text)
    report = probed(checkpoint("bert"), tmp_path)
    assert report.signals is not None
    dropped = {fact.role: fact.dropped for fact in report.signals.data}
    assert dropped["train"] == dropped["bitext"] == {"line over 1,000,000 characters": 1}
    assert kept(report) == [119, 119, 120]


@pytest.mark.usefixtures("small_probe")
def test_multiword_tokens_and_empty_nodes_are_passed_over(checkpoint: Checkpoint, tmp_path: Path) -> None:
    before = "1-2\tboth" + "\t_" * 8
    after = "1.1\tunsaid\t_\tVERB" + "\t_" * 6
    for code in ("en", "tr"):
        text = sample_path(f"{code}.conllu").read_text(encoding="utf-8")
        text = re.sub(r"^1\t.*$", rf"{before}\n\g<0>\n{after}", text, flags=re.MULTILINE)
        (tmp_path / f"{code}.conllu").write_text(text, encoding="utf-8")
    shutil.copy(sample_path("bitext.en-tr.tsv"), tmp_path)
    assert kept(probed(checkpoint("bert"), tmp_path, "pos")) == [120, 120, 120]


# --- what fails all the same -------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_probe")
def test_both_spellings_of_a_pooling_are_measured_alike(checkpoint: Checkpoint, tmp_path: Path) -> None:
    measured = {}
    for name, stated in {
        "old": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        "new": {"pooling_mode": "cls"},
        "mean": {"pooling_mode": "mean"},
    }.items():
        model = shutil.copytree(checkpoint("bert"), tmp_path / name)
        _pooling(model, **stated)
        signals = probed(model, sample_path("en.conllu").parent).signals
        assert signals is not None
        assert signals.model.pooling == ("mean" if name == "mean" else "cls")
        measured[name] = (signals.cosines, signals.distances)
    assert measured["old"] == measured["new"] != measured["mean"]


@pytest.mark.usefixtures("small_probe")
def test_a_run_into_the_folder_of_another_replaces_its_files_only(
    invoke: Command, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "answer"
    folder.mkdir()
    for name in ("notes.txt", "advice.json", "signals.json"):
        (folder / name).write_text("mine")
    outcome = invoke("probe", *arguments(checkpoint("bert"), {"budget": "quick", "seed": "7"}, tmp_path))
    assert outcome.code == 0, outcome.err
    assert Signals.load(folder / "signals.json").run.seed == 7
    assert Advice.load(folder / "advice.json").provenance.seed == 7
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("small_probe")
def test_a_full_disk_costs_the_files_and_not_the_answer(
    invoke: Command, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = tree(tmp_path)
    options = arguments(checkpoint("bert"), {"budget": "quick"}, tmp_path)
    outcome = invoke("probe", *options, "--json")
    assert outcome.code == 1
    assert Advice.model_validate_json(outcome.out).question.task == "pos"
    assert outcome.err.endswith(
        "free or change the disk and run again; no file was left half-written; "
        "what was measured is printed above.\n"
    )
    assert "Traceback" not in outcome.err
    assert tree(tmp_path) == before


def test_an_interrupted_probe_says_so_and_leaves_nothing(
    invoke: Command, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt  # as Ctrl-C is while the long part begins

    monkeypatch.setattr(PhaseBar, "estimate", interrupted)
    outcome = invoke("probe", *arguments(checkpoint("bert"), {}, tmp_path))
    assert outcome.code == 130
    assert outcome.err.rstrip().endswith("no half-written file is left.")
    assert not list(tmp_path.iterdir())


def test_a_stopped_probe_says_so_and_leaves_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    command = ["probe", *map(str, arguments(checkpoint("bert"), {}, tmp_path))]
    with subprocess.Popen(
        [sys.executable, "-m", "advisor", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = ""
        while "The rest will take" not in said:  # the long part begins
            line = process.stderr.readline()
            assert line, said
            said += line
        process.terminate()
        said += process.stderr.read()
    assert process.returncode == 143, said
    assert said.rstrip().endswith("no half-written file is left.")
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())

"""Compressed files are read as streams, archives refused, bombs stopped."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from probes.catalogue import TASKS
from probes.data import read_bitext, read_dictionary, read_labelled
from probes.data.files import _unpack, open_file
from probes.errors import InputError
from probes.languages import parse_language

EN, TR = parse_language("en"), parse_language("tr")
TEXT = "Hello\tMerhaba\nBye\tGüle güle\n".encode()


def zipped(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def zst(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
}


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_what_is_in_it_is_read(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, f"data.tsv{ending}", COMPRESSIONS[ending](TEXT))
    bitext = read_bitext(path, EN, TR)
    assert bitext.pairs == (("Hello", "Merhaba"), ("Bye", "Güle güle"))
    assert bitext.facts[0].format == "tsv"
    assert read_dictionary(path).facts.read == 2


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_the_name_need_not_say_so(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, "data", COMPRESSIONS[ending](b"text\tlabel\na b\tx\nc d\ty\n"))
    assert read_labelled(path, TASKS["topic"], role="train").labels == ("x", "y")


def test_every_format_can_be_compressed(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), sink)
    parquet = gzip.compress(sink.getvalue().to_pybytes())
    path = write(tmp_path, "a.parquet.gz", parquet)
    assert read_labelled(path, TASKS["topic"], role="train").facts.format == "parquet"
    sides = (
        f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>' for language, text in (("en", "a"), ("tr", "b"))
    )
    tmx = f"<tmx><body><tu>{''.join(sides)}</tu></body></tmx>".encode()
    assert read_bitext(write(tmp_path, "a.tmx.xz", lzma.compress(tmx)), EN, TR).pairs == (("a", "b"),)
    array = b'[{"en": "a", "tr": "b"},\n {"en": "c", "tr": "d"}]'
    assert len(read_bitext(write(tmp_path, "a.json.bz2", bz2.compress(array)), EN, TR)) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped({"a.tsv": TEXT, "b.tsv": TEXT}), r"an archive \(zip\): unpack it and name the file in it"),
        (zipped({}), r"an archive \(zip\)"),
        (tarred({"a.tsv": TEXT}), r"an archive \(tar\)"),
        (gzip.compress(tarred({"a.tsv": TEXT})), r"an archive \(tar\)"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 20, r"an archive \(7z\): unpack it"),
        (b"Rar!\x1a\x07" + b"\0" * 20, r"an archive \(rar\): unpack it"),
        (gzip.compress(gzip.compress(TEXT)), r"is compressed or an archive \(gzip\): unpack it"),
        (gzip.compress(TEXT)[:-12], "cannot be unpacked"),
        (gzip.compress(b""), "is empty"),
        (bz2.compress(TEXT)[:-6], "cannot be unpacked"),
        (zst(TEXT)[:-4], "cannot be unpacked"),
    ],
    ids=(  # the contents hold the time of day, and every worker has to call a test the same
        *("zip", "empty zip", "tar", "tar.gz", "7z", "rar", "gzip in gzip"),
        *("gzip cut short", "empty gzip", "bz2 cut short", "zst cut short"),
    ),
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_bitext(write(tmp_path, "data.tsv", content), EN, TR)


def test_text_that_begins_like_a_compressed_file_is_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", b"BZhello\tselam\nBye\tHosca kal\n")
    assert len(read_bitext(path, EN, TR)) == 2


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_bomb_is_stopped_where_it_exceeds_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(_unpack, "_FREE", 1 << 16)
    bomb = COMPRESSIONS[ending](b"a\tb\n" * (1 << 20))
    path = write(tmp_path, f"data.tsv{ending}", bomb)
    with pytest.raises(InputError, match="far more than its size lets expect"):
        read_bitext(path, EN, TR)
    with pytest.raises(InputError, match="far more than its size lets expect"):
        open_file(path).content()


@pytest.mark.parametrize("row", ["a", "a" * 10_000], ids=["many rows", "long rows"])
def test_a_bomb_of_parquet_is_stopped_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(_unpack, "_FREE", 1 << 16)
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 300_000, pa.int32()), pa.array([row]))
    pq.write_table(pa.table({"en": column, "tr": column}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="far more than its size lets expect"):
        read_bitext(tmp_path / "a.parquet", EN, TR)


def test_a_bomb_of_xml_entities_is_none(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    text = (
        f'<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY e0 "lol">{entities}]><tmx><body><tu>'
        '<tuv xml:lang="en"><seg>x &e11;</seg></tuv><tuv xml:lang="tr"><seg>y</seg></tuv></tu></body></tmx>'
    )
    path = write(tmp_path, "a.tmx", text.encode())
    try:
        pairs = read_bitext(path, EN, TR).pairs
    except InputError:
        return
    assert pairs == (("x", "y"),)

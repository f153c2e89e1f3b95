"""Data sets read through ``datasets``, from local folders in the place of the Hub."""

import json
from pathlib import Path

import datasets
import pytest

from probes.catalogue import TASKS
from probes.data import TokenExample, read_bitext, read_labelled
from probes.data._table import _parts
from probes.errors import InputError
from probes.languages import parse_language


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def ner(tmp_path: Path) -> Path:
    folder = tmp_path / "ner"
    folder.mkdir()
    names = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features(
        {"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(names)}
    )
    for split, word in (("train", "Ada"), ("test", "Alan")):
        rows = {"tokens": [[word, "ran"]], "ner_tags": [[1, 0]]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")
    return folder


@pytest.mark.parametrize(
    ("ending", "word"), [("train", "Ada"), ("test", "Alan"), ("default:test", "Alan"), ("test[:1]", "Alan")]
)
def test_splits_and_configurations(ner: Path, ending: str, word: str) -> None:
    data = read_labelled(f"hf:{ner}:{ending}", TASKS["ner"], role="train")
    assert data.examples == (TokenExample((word, "ran"), ("B-PER", "O")),)
    assert data.facts.format == "datasets"
    assert data.facts.spec == f"hf:{ner}:{ending}"
    assert len(data.facts.sha256) == 64


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("", "has the splits train, test"),
        (":nope", "nope"),
        (":default:nope", "nope"),
        (":a:b:c", "write hf:"),
    ],
)
def test_refusals(ner: Path, ending: str, cause: str) -> None:
    with pytest.raises(InputError, match=cause) as caught:
        read_labelled(f"hf:{ner}{ending}", TASKS["ner"], role="train")
    assert "\n" not in str(caught.value)


def test_a_single_split_need_not_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "topics"
    folder.mkdir()
    rows = [{"text": "Goal!", "label": "sports"}, {"text": "A vaccine", "label": "health"}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = read_labelled(f"hf:{folder}", TASKS["topic"], role="train")
    assert data.labels == ("health", "sports")


def test_bitext_from_a_translation_column(tmp_path: Path) -> None:
    folder = tmp_path / "bitext"
    folder.mkdir()
    row = {"translation": {"en": "Hello", "tr": "Merhaba"}}
    (folder / "train.jsonl").write_text(json.dumps(row), encoding="utf-8")
    bitext = read_bitext(f"hf:{folder}", parse_language("en"), parse_language("tr"))
    assert bitext.pairs == (("Hello", "Merhaba"),)


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the Hub\nretried 5 times")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(InputError, match="Cannot reach the Hugging Face Hub for hf:owner/name") as caught:
        read_labelled("hf:owner/name", TASKS["ner"], role="train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("hf:name", ("name", None, None)),
        ("hf:owner/name:en", ("owner/name", "en", None)),
        ("hf:owner/name:train", ("owner/name", None, "train")),
        ("hf:owner/name:en:dev2", ("owner/name", "en", "dev2")),
        ("hf:owner/name:en:test[10:20]", ("owner/name", "en", "test[10:20]")),
        ("hf:owner/name:extra[:50%]", ("owner/name", None, "extra[:50%]")),
    ],
)
def test_parts_of_a_spec(spec: str, parts: tuple[str, str | None, str | None]) -> None:
    assert _parts(spec) == parts

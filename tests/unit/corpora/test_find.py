"""Public data: what the tables hold, and how it is named."""

import csv
from pathlib import Path

import pytest

import advisor.corpora
from advisor.corpora import find_data
from probes.catalogue import TASKS
from probes.data._table import is_hub_spec
from probes.errors import InputError
from probes.languages import parse_language

TABLES = Path(advisor.corpora.__file__).with_name("tables")


def _rows(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_labelled_sets_in_sixty_languages_and_more() -> None:
    bitexts = {row["id"] for row in _rows("collections.csv") if row["tasks"] == "bitext"}
    labelled = {row["language"] for row in _rows("sets.csv") if row["collection"] not in bitexts}
    paired = {row["language"] for row in _rows("sets.csv") if row["collection"] in bitexts}
    assert len(labelled & paired) >= 60


def test_every_row_is_of_a_known_language_and_collection() -> None:
    collections = {row["id"] for row in _rows("collections.csv")}
    for row in _rows("sets.csv"):
        assert row["collection"] in collections
        assert parse_language(row["language"]).code == row["language"]


def test_every_collection_has_a_licence_and_an_address() -> None:
    for row in _rows("collections.csv"):
        assert row["licence"]
        assert row["url"].startswith("https://")
        assert row["source"]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_english_training_data(task: str) -> None:
    assert find_data(source="en", target="sw", task=task).of("train")


def test_a_set_is_named_as_the_option_takes_it() -> None:
    yoruba = find_data(source="eng", target="yor_Latn", task="ner")
    assert [row.spec for row in yoruba.of("target-labels")] == [
        "masakhane-ner/MasakhaNER2.0/data/yor/dev.txt",
        "hf:unimelb-nlp/wikiann:yo:validation",
    ]
    assert is_hub_spec(yoruba.of("train")[0].spec)
    assert "MasakhaNER 2.0, 983 examples, CC BY-NC 4.0" in yoruba.markdown()


def test_the_source_side_of_a_bitext_comes_first() -> None:
    def sides(source: str, target: str) -> set[str]:
        return {row.spec for row in find_data(source=source, target=target, task="pos").of("bitext")}

    flores, ntrex, tatoeba = (
        "flores200_dataset/dev/{}.dev",
        "NTREX/NTREX-128/newstest2019-ref.{}.txt",
        "LASER/data/tatoeba/v1/tatoeba.tur-eng.{}",
    )
    assert f"{flores.format('eng_Latn')},{flores.format('tur_Latn')}" in sides("en", "tr")
    assert f"{flores.format('tur_Latn')},{flores.format('eng_Latn')}" in sides("tr", "en")
    assert f"{tatoeba.format('tur')},{tatoeba.format('eng')}" in sides("tr", "en")
    assert f"{ntrex.format('deu')},{ntrex.format('tur')}" in sides("de", "tr")
    assert not any(spec.startswith("hf:Helsinki") for spec in sides("de", "tr"))


def test_files_are_named_below_the_folder_that_their_clone_makes() -> None:
    for task in TASKS:
        for target in ("yo", "tr", "de"):
            for row in find_data(source="en", target=target, task=task).sets:
                if row.note.startswith("git clone "):
                    folder = row.note.split()[2].rstrip(";").rpartition("/")[2]
                    assert all(side.startswith(f"{folder}/") for side in row.spec.split(",")), row


def test_the_count_is_of_the_split_that_is_named() -> None:
    flores = next(row for row in find_data(source="en", target="tr", task="pos").sets if "FLORES" in row.name)
    assert (flores.examples, "/dev/" in flores.spec) == (997, True)


def test_one_language_alone_is_no_question() -> None:
    with pytest.raises(InputError, match="Source and target are both English"):
        find_data(source="eng", target="en", task="pos")


def test_what_is_not_on_file_is_said() -> None:
    assert "None is on file" in find_data(source="en", target="tlh", task="nli").markdown()
    with pytest.raises(InputError, match="No task"):
        find_data(source="en", target="tr", task="cooking")

"""Reading the evidence tables, and the linter."""

from pathlib import Path

import pytest

from advisor.findings import check, load_tables
from advisor.findings.evidence import TABLES, Effect, normalise_model
from probes.errors import InputError
from tests.unit.findings.simulation import copy_tables, edit_rows


def test_every_effect_has_its_provenance() -> None:
    tables = load_tables()
    assert len(tables.effects) > 3000
    for effect in tables.effects:
        assert effect.source_id in tables.sources
        assert effect.locator
    assert {effect.reliability for effect in tables.effects} == {
        *("per-seed", "published", "unpublished", "secondary")
    }


def test_what_must_not_be_pooled_is_kept_apart() -> None:
    for effect in load_tables().pooled:
        assert effect.scale == "light"
        assert effect.comparison == "vs-unaligned"
        assert effect.schedule in ("sequential", "joint")
        assert effect.source != effect.target
        assert effect.target != "avg"
        assert effect.objective != "other"


def test_gains_from_seeds_are_paired() -> None:
    tables = load_tables()
    scores = {
        (s.model, s.task, s.target, s.objective, s.schedule, s.frozen_layers, s.word_pairs): s.scores
        for s in tables.scores
    }
    effect = next(e for e in tables.effects if e.source_id == "bakos2025" and e.target == "tr")
    where = (effect.model, effect.task, effect.target)
    before = scores[*where, "none", "", "none", ""]
    after = scores[*where, effect.objective, effect.schedule, effect.frozen_layers, effect.word_pairs]
    gains = [a - b for a, b in zip(after, before, strict=True)]
    assert effect.gain == pytest.approx(sum(gains) / len(gains))
    assert effect.n_seeds == len(gains) == 5


def test_languages_carry_facts_and_the_uriel_table_its_licence() -> None:
    languages = load_tables().languages
    assert languages["tr"].family == "Turkic"
    assert languages["zh"].spaced is False
    assert languages["yo"].in_wikipedia
    assert "CC BY-SA 4.0" in (TABLES / "languages_uriel.LICENSE.md").read_text()


@pytest.mark.parametrize(
    "name", ["FacebookAI/xlm-roberta-base", "a\\b\\XLM-RoBERTa_base", "xlm-roberta-base/"]
)
def test_model_names_are_matched_by_their_last_part(name: str) -> None:
    assert normalise_model(name) == "xlm-roberta-base"


def test_the_tables_in_the_package_are_sound() -> None:
    report = check()
    assert report.ok, report.markdown()
    assert report.pooled + sum(report.kept_apart.values()) == report.effects
    assert str(report.pooled) in report.markdown()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"baseline": "140"}, "no score between 0 and 100"),
        ({"baseline": "99", "gain": "8"}, "aligned score 107"),
        ({"gain_sd": "-1", "n_seeds": "5"}, "is negative"),
        ({"gain_sd": "1", "n_seeds": "1"}, "needs two seeds"),
        ({"target": "tlh"}, "no target language 'tlh'"),
        ({"model": "gpt-2"}, "no model 'gpt-2'"),
    ],
)
def test_impossible_rows_are_found(change: dict[str, str], complaint: str, tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "effects" / "nguyen2025.csv", lambda rows: [rows[0] | change, *rows[1:]])
    report = check(root)
    assert not report.ok
    assert any(complaint in issue.text for issue in report.issues)


def test_a_row_that_stands_twice_is_found(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "effects" / "nguyen2025.csv", lambda rows: [*rows, rows[0]])
    assert any("stands in 2 rows" in issue.text for issue in check(root).issues)


@pytest.mark.parametrize(
    ("column", "value"),
    [("gain", "much"), ("gain", "nan"), ("gain", ""), ("objective", "magic"), ("scale", "huge")],
)
def test_a_cell_that_cannot_be_read_is_named(column: str, value: str, tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "effects" / "cao2020.csv", lambda rows: [rows[0], rows[1] | {column: value}, *rows[2:]])
    with pytest.raises(InputError, match=rf"cao2020.csv line 3, column '{column}'"):
        load_tables(root)
    report = check(root)
    assert not report.ok
    assert "cao2020.csv line 3" in report.issues[0].text


def test_a_papers_results_are_one_file_and_one_line(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    new = root / "effects" / "new2030.csv"
    new.write_bytes((root / "effects" / "cao2020.csv").read_bytes())
    with pytest.raises(InputError, match="has no line for 'new2030'"):
        load_tables(root)
    with (root / "sources.csv").open("a") as file:
        file.write('new2030,"Someone 2030. A paper",https://example.org,someone\n')
    load_tables.cache_clear()
    tables = load_tables(root)
    assert tables.sources["new2030"].citation == "Someone 2030. A paper"
    assert any(isinstance(e, Effect) and e.source_id == "new2030" for e in tables.pooled)
    assert tables.sha256 != load_tables().sha256

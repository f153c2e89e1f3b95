"""Reading the evidence tables, and the linter."""

from pathlib import Path

import pytest

from advisor.findings import check, load_tables
from advisor.findings.evidence import OUTSIDE, STRATA, TABLES, Effect, normalise_model
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
        assert effect.stratum in ("light", "own-short")
        assert effect.comparison == "vs-unaligned"
        assert effect.schedule in ("sequential", "joint")
        assert effect.source != effect.target
        assert effect.target != "avg"
        assert effect.objective not in OUTSIDE


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
        ({"aligned": "90"}, "aligned minus baseline is"),
        ({"align_steps": "150000"}, "150,000 alignment steps do not belong to the stratum 'light'"),
        ({"align_steps": "10"}, "10 alignment steps do not belong to the stratum 'light'"),
        ({"stratum": "own-short", "align_steps": "50000"}, "do not belong to the stratum 'own-short'"),
        ({"reliability": "secondary"}, "a secondary source outside the stratum 'secondary'"),
        ({"aligned_languages": "0"}, "aligned_languages is 0"),
        ({"pairs_per_language": "-5"}, "pairs_per_language is -5"),
    ],
)
def test_impossible_rows_are_found(change: dict[str, str], complaint: str, tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "effects" / "nguyen2025.csv", lambda rows: [rows[0] | change, *rows[1:]])
    report = check(root)
    assert not report.ok
    assert any(complaint in issue.text for issue in report.issues)


@pytest.mark.parametrize(
    ("table", "name", "change", "complaint"),
    [
        ("encoders", "labse", {"citation": ""}, "no citation"),
        ("encoders", "labse", {"parallel": "no"}, "trained on translations, but no parallel data"),
        ("encoders", "labse", {"aliases": "mbert"}, "'mbert' is the name of bert-base-multilingual-cased"),
        ("encoders", "labse", {"corpora": "everything"}, "corpora.csv has no corpus 'everything'"),
        ("encoders", "labse", {"base": "nothing"}, "'nothing' is not one of"),
        ("corpora", "xnli15", {"count": "14"}, "15 languages, and 14 published"),
        ("corpora", "xnli15", {"open": "en"}, "both in it and open"),
    ],
)
def test_impossible_facts_about_encoders_are_found(
    table: str, name: str, change: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    root = copy_tables(tmp_path)

    def edit(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [row | change if name in (row.get("name"), row.get("corpus")) else row for row in rows]

    edit_rows(root / f"{table}.csv", edit)
    report = check(root)
    assert not report.ok
    assert any(complaint in issue.text for issue in report.issues)


def test_a_row_that_stands_twice_is_found(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "effects" / "nguyen2025.csv", lambda rows: [*rows, rows[0]])
    assert any("stands in 2 rows" in issue.text for issue in check(root).issues)


def test_scores_between_0_and_1_are_found(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)

    def shrink(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        in_points = ("baseline", "aligned", "gain", "aligned_sd")
        return [row | {c: f"{float(row[c]) / 100:.6f}" for c in in_points if row[c]} for row in rows]

    edit_rows(root / "effects" / "ramirez2026salt.csv", shrink)
    issues = [issue for issue in check(root).issues if issue.severity == "error"]
    assert {issue.where for issue in issues} == {"ramirez2026salt"}
    assert "scores are in points, from 0 to 100" in issues[0].text


def test_scores_at_a_ceiling_are_doubted(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    change = {"baseline": "98.5", "aligned": "99.0", "gain": "0.5"}
    edit_rows(root / "effects" / "cao2020.csv", lambda rows: [rows[0] | change, *rows[1:]])
    assert any(i.where == "cao2020" and "1 scores of 98 or more" in i.text for i in check(root).issues)


def test_what_two_sources_report_to_the_digit_is_doubted_unless_it_is_one_checkpoint(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    rows: list[dict[str, str]] = []
    edit_rows(root / "effects" / "cao2020-repro.csv", lambda old: rows.extend(old) or old)
    twin = next(row for row in rows if row["target"] == "de" and row["task"] == "nli")
    edit_rows(root / "effects" / "alqahtani2021ot.csv", lambda old: [*old, twin])
    assert any("give them one checkpoint" in issue.text for issue in check(root).issues)
    edit_rows(root / "effects" / "alqahtani2021ot.csv", lambda old: [*old[:-1], twin | {"checkpoint": "a"}])
    edit_rows(root / "effects" / "cao2020-repro.csv", lambda old: [row | {"checkpoint": "a"} for row in old])
    load_tables.cache_clear()
    assert not any("give them one checkpoint" in issue.text for issue in check(root).issues)


def test_a_source_of_an_unknown_lab_is_found(tmp_path: Path) -> None:
    root = copy_tables(tmp_path)
    edit_rows(root / "sources.csv", lambda rows: [rows[0] | {"lab": "nobody"}, *rows[1:]])
    assert any(issue.text == "labs.csv has no lab 'nobody'" for issue in check(root).issues)


def test_strata_are_not_pooled_and_averages_fit_nowhere() -> None:
    tables = load_tables()
    assert {effect.stratum for effect in tables.pooled} == {"light", "own-short"}
    assert {effect.lab for effect in tables.strata["light"]} >= {"gaschi-lee", "cao", "pop", "alqahtani"}
    for stratum in STRATA:
        for effect in tables.strata[stratum]:
            assert effect.target != "avg"
            assert effect.objective not in OUTSIDE
            assert effect.target_aligned is not False
    assert tables.strata["pretraining"]


def test_one_checkpoint_measured_in_two_labs_is_known_as_one() -> None:
    labs = {e.lab for e in load_tables().effects if e.checkpoint == "cao2020-250k"}
    assert labs == {"cao", "alqahtani"}
    assert {e.lab for e in load_tables().effects if e.checkpoint == "infoxlm-base"} >= {"chi", "chen"}


def test_how_much_was_aligned_is_on_record_where_it_was_read() -> None:
    effects = load_tables().effects
    steps = {(e.model, e.task): e.train_steps for e in effects if e.source_id == "bakos2025"}
    assert steps["xlm-roberta-base", "pos"] == 1970
    assert steps["bert-base-multilingual-cased", "nli"] == 24544
    unaligned = [e for e in effects if e.source_id == "nguyen2025" and e.target == "st"]
    assert unaligned
    assert all(e.target_aligned is False and e.aligned_languages == 65 for e in unaligned)
    doses = {e.pairs_per_language for e in effects if e.source_id == "alqahtani2021ot"}
    assert doses == {1_000, 10_000, 50_000, 250_000}


@pytest.mark.parametrize(
    ("column", "value"),
    [("gain", "much"), ("gain", "nan"), ("gain", ""), ("objective", "magic"), ("stratum", "huge")],
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
        file.write('new2030,"Someone 2030. A paper",https://example.org,cao\n')
    load_tables.cache_clear()
    tables = load_tables(root)
    assert tables.sources["new2030"].citation == "Someone 2030. A paper"
    assert any(isinstance(e, Effect) and e.source_id == "new2030" for e in tables.pooled)
    assert tables.sha256 != load_tables().sha256

"""The findings card and the summary it is written from."""

from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from advisor.cli import app
from advisor.findings import load_findings, load_tables, show
from advisor.findings.evidence import TABLES
from advisor.findings.reports import card, load_figures, write_card
from advisor.findings.reports._card import CARD, fingerprint
from advisor.race.replay import report as replay
from advisor.study._compile import CompileReport
from probes.errors import InputError


def test_the_card_is_what_the_tables_and_figures_generate() -> None:
    assert CARD.read_text(encoding="utf-8") == card(load_figures())


def test_the_figures_belong_to_these_tables_and_this_model() -> None:
    figures = load_figures()
    assert figures.validation.findings_sha256 == load_tables().sha256
    assert figures.fingerprint == pytest.approx(fingerprint(load_findings()), abs=0.02)


def test_the_card_has_every_split_and_every_method() -> None:
    text = CARD.read_text(encoding="utf-8")
    for report in load_figures().validation.splits:
        assert f"### One {report.split} left out" in text
        for method in report.methods:
            assert f"| {method.name} | {method.regret}" in text


def test_no_card_is_written_from_tables_with_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from advisor.findings.evidence import CheckReport, Issue
    from advisor.findings.reports import _card as module

    broken = CheckReport(issues=(Issue(severity="error", where="here", text="something is wrong"),))
    monkeypatch.setattr(module, "check", lambda: broken)
    with pytest.raises(InputError, match="something is wrong"):
        write_card(card_path=tmp_path / "CARD.md", figures_path=tmp_path / "figures.json")
    assert list(tmp_path.iterdir()) == []


def test_the_summary_counts_every_pooled_effect_once_a_group() -> None:
    summary = show()
    for group in ("model and task", "task level", "objective"):
        rows = [finding for finding in summary.findings if finding.group == group]
        assert sum(row.effects for row in rows) == summary.pooled
    for row in summary.findings:
        assert row.low <= row.gain <= row.high


def test_matched_differences_are_between_twins() -> None:
    """Freezing the lower half beats freezing nothing for XLM-R tagging, as its authors report."""
    tables = load_tables()
    twins = {
        (e.target, e.frozen_layers): e.gain
        for e in tables.pooled
        if (e.source_id, e.model, e.task, e.schedule, e.word_pairs)
        == ("bakos2025", "xlm-roberta-base", "pos", "sequential", "dictionary")
    }
    languages = {target for target, _ in twins}
    by_hand = sum(twins[t, "lower-half"] - twins[t, "none"] for t in languages) / len(languages)
    assert by_hand == pytest.approx(0.34, abs=0.02)
    row = next(
        f for f in show().findings if f.level == "lower-half instead of none: xlm-roberta-base, token level"
    )
    assert row.gain > 0


def test_one_command_compiles_the_studies_and_writes_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """In that order, since the card is of the tables; what both take minutes for is tested elsewhere."""
    done: list[Path | str] = []
    compiled = CompileReport(rows=2, probed=2, records=9, unpaired=0, controls=0, unknown_models=())

    def compile_study(studies: list[Path], out: Path, controls: Path) -> CompileReport:
        done.extend([*studies, out.name, controls.name])
        return compiled

    def write_card(race: str, shift: float) -> None:
        done.append(race)

    report = mock.Mock(markdown=lambda: "card", shift=1.0)
    monkeypatch.setattr("advisor.study.compile_study", compile_study)
    monkeypatch.setattr("advisor.findings.write_card", write_card)
    monkeypatch.setattr(replay, "race_report", lambda jobs: report)
    monkeypatch.setattr(replay, "regret_chart", lambda report: mock.Mock())
    found = CliRunner().invoke(app, ["findings", "card", "--compile"])
    assert found.exit_code == 0, found.output
    studies = sorted((TABLES.parent / "study").glob("*.study.xz"))
    assert done == [*studies, "records.csv", "controls.csv", "card"]


def test_the_card_says_task_by_task_whether_harm_was_foreseen() -> None:
    text = CARD.read_text(encoding="utf-8")
    for report in load_figures().validation.splits:
        assert sum(row.cells for row in report.tasks) == report.cells
        kept = sum(row.cells * row.kept for row in report.tasks) / report.cells
        assert kept == pytest.approx(report.methods[0].kept.value)
        for row in report.tasks:
            assert row.warned <= row.harmed
            assert row.encouraged <= row.cells - row.harmed
            assert f"| {row.task} | {row.warned} of {row.harmed} |" in text
    assert {"qa", "pos"} <= {row.task for row in load_figures().validation.splits[0].tasks}

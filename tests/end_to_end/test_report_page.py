"""The report as a user meets it: a folder of files, opened in a browser."""

from pathlib import Path

import pytest
from lxml import html

from advisor.advice import Advice
from advisor.report import Report
from probes.signals import Signals
from tests.factories import make_advice, make_signals

ALL_OBJECTIVES = ("token-contrastive", "token-l2", "sentence-contrastive", "tlm", "mlm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a probe of a large encoder with every objective writes."""
    out = tmp_path_factory.mktemp("report") / "out"
    Report(make_advice(), make_signals(layers=24, objectives=ALL_OBJECTIVES)).write(out)
    return out


def test_the_folder_holds_one_answer_in_three_forms(folder: Path) -> None:
    advice = Advice.load(folder / "advice.json")
    signals = Signals.load(folder / "signals.json")
    page = html.parse(str(folder / "report.html")).getroot()
    assert advice == make_advice()
    assert signals == make_signals(layers=24, objectives=ALL_OBJECTIVES)
    assert advice.summary in page.text_content()
    assert sorted(path.name for path in folder.iterdir()) == ["advice.json", "report.html", "signals.json"]


def test_the_largest_page_can_be_mailed(folder: Path) -> None:
    assert (folder / "report.html").stat().st_size < 1_500_000

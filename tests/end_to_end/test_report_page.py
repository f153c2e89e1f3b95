"""The report as a user meets it: a folder of files, opened in a browser."""

import shutil
import subprocess
from pathlib import Path

import pytest
from lxml import html

from advisor.advice import Advice
from advisor.report import Report
from probes.signals import Signals
from tests.factories import make_advice, make_signals

ALL_OBJECTIVES = ("token-contrastive", "token-l2", "sentence-contrastive", "tlm", "mlm")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_sideways(folder: Path, tmp_path: Path, width: int) -> None:
    # The page allows no script, so a frame around it measures: a page that fits has no sideways scroll.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='{(folder / 'report.html').as_uri()}' style='width:{width}px;height:600px;border:0'>"
        "</iframe><script>onload = () => { const d = document.querySelector('iframe').contentDocument;"
        "document.title = d.documentElement.scrollWidth + ' of ' + d.documentElement.clientWidth; }</script>"
    )
    done = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--allow-file-access-from-files", "--hide-scrollbars"),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert html.fromstring(done.stdout).findtext(".//title") == f"{width} of {width}"

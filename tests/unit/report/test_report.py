import json
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.advice import Advice
from advisor.report import Report
from probes.signals import Signals
from tests.factories import make_advice, make_open, make_signals

pytestmark = pytest.mark.slow


def test_json_holds_advice_and_signals_and_reads_back() -> None:
    report = Report(make_advice(), make_signals())
    parts = json.loads(report.to_json())
    assert Advice.model_validate(parts["advice"]) == report.advice
    assert Signals.model_validate(parts["signals"]) == report.signals
    assert json.loads(Report(make_advice()).to_json())["signals"] is None


def test_an_answer_without_signals_takes_the_place_of_one_with_them(tmp_path: Path) -> None:
    Report(make_advice(), make_signals(2, ("token-l2",))).write(tmp_path)
    assert (tmp_path / "signals.json").exists()
    Report(make_open()).write(tmp_path)
    assert not (tmp_path / "signals.json").exists()
    assert Advice.load(tmp_path / "advice.json") == make_open()


def test_extra_files_are_written_beside(tmp_path: Path) -> None:
    written = Report(make_open()).write(tmp_path / "out", {"recipe/train.py": "print()"})
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        "advice.json",
        "report.html",
        "recipe/train.py",
    ]
    assert all(path.stat().st_size > 0 for path in written)


def test_extra_files_cannot_replace_the_reports_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"advice\.json"):
        Report(make_open()).write(tmp_path / "out", {"advice.json": "{}"})
    assert not (tmp_path / "out").exists()


def test_a_report_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Report(make_advice()).signals = None  # type: ignore[misc]


def test_a_terminal_answer_loads_neither_torch_nor_a_drawing_library_and_the_page_no_torch() -> None:
    script = (
        "import sys, io; from rich.console import Console; from advisor.report import Report;"
        "from tests.factories import make_open;"
        "Console(file=io.StringIO()).print(Report(make_open()));"
        "print([m for m in ('torch', 'transformers', 'altair', 'vl_convert', 'jinja2') if m in sys.modules]);"
        "Report(make_open()).to_html();"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_charts_are_altair_objects_by_name() -> None:
    signals = make_signals(layers=4)
    charts = Report(make_advice(), signals).charts
    assert {
        "gain",
        "cosines",
        "retrieval",
        *(f"cosine/{name}" for name in signals.objectives),
    } <= charts.keys()
    assert all("$schema" in chart.to_dict() for chart in charts.values())
    assert Report(make_advice()).charts.keys() <= {"gain", "cost", "evidence"}


def test_the_frame_has_every_estimate_with_its_interval() -> None:
    signals = make_signals(layers=4)
    frame = signals.to_frame()
    assert list(frame.columns) == [
        *("signal", "point", "labels", "objective", "block", "value", "low", "high", "note")
    ]
    row = signals.cosines[0]
    chosen = frame[
        (frame.signal == "cosine")
        & (frame.point == row.point)
        & (frame.labels == row.task_gradient)
        & (frame.objective == row.objective)
        & (frame.block == row.block)
    ]
    assert chosen[["value", "low", "high"]].to_numpy().tolist() == [
        [row.cosine.value, row.cosine.low, row.cosine.high]
    ]
    assert {"sentence:cka:value", "raw:change", "source", "squared_norm"} <= set(frame.signal)

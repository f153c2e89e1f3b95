"""The README's first screen, from a demo: ``advisor demo && python -m tests.benchmarks.transcript advice``.

Writes what the demo printed into ``README.md``, 100 columns wide, and a picture of its report beside the
sample.
"""

import argparse
import io
import re
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from advisor.recommend import recommend
from advisor.report import Report
from probes.signals import Signals
from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS

README = Path(__file__).parents[2] / "README.md"
PICTURE = README.parent / "advisor" / "sample" / "report.png"
WIDTH, LINES = 100, 60
_BLOCK = re.compile(r"(?<=```text\n)╭.*?(?=```)", re.DOTALL)
_FILES = (
    "advice.json",
    "signals.json",
    "report.html",
    "recipe/train.py",
    "recipe/recipe.yaml",
    "recipe/README.md",
)


def transcript(report: Report) -> str:
    """What the demo prints to standard output."""
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, highlight=False)
    console.print(report.terminal([Path("advice") / name for name in _FILES]))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def in_readme() -> str:
    """The transcript as the README has it."""
    found = _BLOCK.search(README.read_text(encoding="utf-8"))
    assert found is not None
    return found.group()


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="that the demo wrote to")
    signals = Signals.load(parser.parse_args().folder / "signals.json")
    report = Report(recommend(signals), signals)
    text = README.read_text(encoding="utf-8")
    README.write_text(_BLOCK.sub(lambda _: transcript(report), text), encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        page = browser.new_page(viewport={"width": 1080, "height": 1180})
        page.set_content(report.to_html())
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()

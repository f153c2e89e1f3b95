"""Pictures of every view, to be looked at: ``python -m tests.browser.screenshots --out DIR``.

The page is served from a store of its own that holds a finished run and one under way. Each view is drawn at
the width of a desk and of a phone, in light and in dark, from top to bottom.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from advisor.advice import Advice
from advisor.report import Report
from advisor.service import RunStore
from probes.signals import Signals
from tests.browser.conftest import put_grid
from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, serve
from tests.browser.trials import write_trial
from tests.factories import make_advice, make_open, make_signals
from tests.unit.service.stubs import SAMPLE, SESSION

Scheme = Literal["light", "dark"]

_WIDTHS = (1280, 390)
_SCHEMES: tuple[Scheme, ...] = ("light", "dark")
_STILL_MS = 900
"""What the page gets to settle after the last thing that changed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--result", type=Path, help="folder of a probe to show; else made-up numbers")
    parser.add_argument("--view", action="append", help="only these, such as ask or read-direction")
    parser.add_argument("--width", type=int, action="append", help=f"in pixels; by default {_WIDTHS}")
    parser.add_argument("--theme", choices=_SCHEMES, action="append")
    parser.add_argument("--height", type=int, help="cut off below so many pixels")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    report = _read(options.result) if options.result else Report(make_advice(), make_signals())
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), {"ADVISOR_LIST_ALL": "true", "ADVISOR_ROOTS": folder}) as server,
        sync_playwright() as driver,
    ):
        write_trial(Path(folder) / "trial")
        views = _views(server.store, report, Path(folder) / "trial/trial.json")
        unknown = set(options.view or ()) - views.keys()
        if unknown:
            parser.error(f"no view is called {', '.join(sorted(unknown))}; there are {', '.join(views)}")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        for name in options.view or views:
            link, act = views[name]
            for width in options.width or _WIDTHS:
                for scheme in options.theme or _SCHEMES:
                    path = options.out / f"{name}-{width}-{scheme}.png"
                    _take(browser, server.url + link, act, width, scheme, options.height, path)
                    print(path, flush=True)
        browser.close()


def _read(folder: Path) -> Report:
    return Report(Advice.load(folder / "advice.json"), Signals.load(folder / "signals.json"))


def _views(store: RunStore, report: Report, trial: Path) -> Mapping[str, tuple[str, Callable[[Page], None]]]:
    """By name, the link that leads to a view and what to press there."""
    done = _finished(store, report)
    german = make_open(provenance=make_advice().provenance)
    other = _finished(store, Report(german, make_signals(target="de")))
    grid = put_grid(store, report).id
    failed = store.create(SAMPLE, SESSION)
    store.finish(
        store.record(failed.id), "failed", error="The bitext has 3 pairs: give at least 8, better 1,000."
    )
    running = store.create(SAMPLE, SESSION)
    store.change(
        store.record(running.id), status="running", phase="embed", step=5, total=9, started=running.created
    )

    def nothing(page: Page) -> None:
        pass

    def press(label: str) -> Callable[[Page], None]:
        return lambda page: page.get_by_role("radio", name=label, exact=True).click()

    def bring(page: Page) -> None:
        page.locator("input[type=file]").set_input_files(trial)
        page.get_by_test_id("stDataFrame").first.wait_for()

    def compare(page: Page) -> None:
        page.get_by_role("combobox", name="Finished runs").click()
        page.get_by_role("option", name="Select all").click()
        page.keyboard.press("Escape")
        page.get_by_test_id("stDataFrame").first.wait_for()

    parts = ("Direction", "Magnitude", "Lookahead", "Distance", "Starting point", "Provenance")
    return {
        "ask": ("?view=ask", nothing),
        "grid": ("?view=grid", nothing),
        "probe-before": ("?view=probe", nothing),
        "probe-upload": ("?view=probe", press("Upload files")),
        "probe-during": (f"?view=probe&run={running.id}", nothing),
        "probe-after": (f"?view=probe&run={done}", nothing),
        "probe-failed": (f"?view=probe&run={failed.id}", nothing),
        "read": (f"?view=read&run={done}", nothing),
        **{
            f"read-{part.lower().replace(' ', '-')}": (f"?view=read&run={done}", press(part))
            for part in parts
        },
        "read-grid": (f"?view=read&run={grid}", nothing),
        "explore": ("?view=explore", nothing),
        "explore-sources": ("?view=explore", press("Sources")),
        "explore-card": ("?view=explore", press("Findings card")),
        "compare": (f"?view=compare&run={other}", compare),
        "trial": ("?view=trial", bring),
    }


def _finished(store: RunStore, report: Report) -> str:
    advice = report.advice
    question = advice.question.model_dump(include={"model", "source", "target", "task"})
    run = store.create(SAMPLE.model_copy(update=question), SESSION)
    report.write(store.folder(run.id), {"recipe/train.py": "print(1)\n"})
    store.change(store.record(run.id), status="running", started=run.created)
    store.finish(store.record(run.id), "done", decision=advice.decision, summary=advice.summary)
    return run.id


def _take(
    browser: Browser,
    url: str,
    act: Callable[[Page], None],
    width: int,
    scheme: Scheme,
    height: int | None,
    path: Path,
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height or 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.locator(".aa-mast").wait_for()
    _settle(page)
    act(page)
    _settle(page)
    if height is None:  # the page scrolls inside itself: make the window as high as what is in it
        for _ in range(2):  # charts grow with the room they get
            content = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
            page.set_viewport_size({"width": width, "height": int(content)})
            _settle(page)
    page.screenshot(path=path)
    context.close()


def _settle(page: Page) -> None:
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")
    page.wait_for_timeout(_STILL_MS)


if __name__ == "__main__":
    main()

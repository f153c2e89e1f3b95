"""How long a visitor waits for the page: ``python -m tests.benchmarks.app_first_paint [VISITS]``.

A server is started and visited in headless Chromium, each time by somebody new. The first visit also pays for
the server's imports. Printed are seconds from the request to the masthead (first paint), to the question's
inputs, and to the answer; with the machine's load, since on two busy processors everything takes longer.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, serve

_MOST = 3.0
"""Seconds that the first paint may take on two processors."""


def visit(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds to the masthead, the inputs and the answer, for a visitor with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    begin = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_text("Alignment advisor", exact=True).wait_for()
    masthead = time.perf_counter() - begin
    page.get_by_role("combobox", name="Target language").wait_for()
    inputs = time.perf_counter() - begin
    page.get_by_role("heading", level=2).first.wait_for()
    answer = time.perf_counter() - begin
    context.close()
    return masthead, inputs, answer


def main(visits: int = 4) -> int:
    """Measure and print; returns 1 if a first paint took too long."""
    paints = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), {}) as server,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        for number in range(1, visits + 1):
            masthead, inputs, answer = visit(browser, server.url)
            paints.append(masthead)
            print(f"visit {number}: masthead {masthead:.2f} s, inputs {inputs:.2f} s, answer {answer:.2f} s")
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        browser.close()
    return int(max(paints) > _MOST)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

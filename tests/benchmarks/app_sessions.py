"""Many visitors at once: ``python -m tests.benchmarks.app_sessions [SESSIONS]``.

A server is visited over its socket by one visitor, then by twenty at once, who ask about different languages.
Printed is the wait for an answer in seconds, and how many times longer it is in company. Then all of them
start a probe: none may be lost.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from advisor.findings import load_tables
from tests.browser.server import Server, serve
from tests.browser.session import Session
from tests.unit.service.stubs import wait_for

_MOST = 10.0
"""Seconds that the slowest of twenty answers may take on two processors."""


async def ask_at_once(url: str, targets: Sequence[str]) -> list[float]:
    """Seconds until each of as many visitors has an answer."""

    async def wait(target: str) -> float:
        begin = time.perf_counter()
        session = await Session.open(url, view="ask", target=target)
        seconds = time.perf_counter() - begin
        assert "aa-summary" in session.html(), f"no answer on {target}"
        await session.close()
        return seconds

    return await asyncio.gather(*map(wait, targets))


async def start_at_once(url: str, count: int) -> None:
    """Start a probe in each of so many sessions."""
    sessions = await asyncio.gather(*(Session.open(url, view="probe") for _ in range(count)))
    await asyncio.gather(*(session.press("Start the probe") for session in sessions))
    for session in sessions:
        await session.close()


def lost_runs(server: Server, count: int) -> int:
    """How many of so many probes started at once are not on record, or not under way."""
    asyncio.run(start_at_once(server.url, count))
    runs = server.store.runs()
    kept = sum(run.active for run in runs)
    for run in runs:
        server.store.ask_to_stop(run.id)
    wait_for(lambda: not any(run.active for run in server.store.runs()), seconds=120)
    return count - kept


def main(count: int = 20) -> int:
    """Measure and print; returns 1 if an answer took too long or a run was lost."""
    languages = [code for code in load_tables().languages if code != "en"]
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), {"ADVISOR_MAX_QUEUE": str(count)}) as server,
    ):
        asyncio.run(ask_at_once(server.url, ["tr"]))  # the first visit pays for imports and the fit
        alone = [asyncio.run(ask_at_once(server.url, [target]))[0] for target in languages[:5]]
        together = sorted(asyncio.run(ask_at_once(server.url, languages[5 : 5 + count])))
        lost = lost_runs(server, count)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"one session: {median(alone):.2f} s to an answer")
    print(
        f"{count} sessions at once: {median(together):.2f} s in the middle, {together[-1]:.2f} s at most, "
        f"{together[-1] / median(alone):.1f} times one session"
    )
    print(f"{count} probes started at once: {lost} lost")
    return int(together[-1] > _MOST or lost > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

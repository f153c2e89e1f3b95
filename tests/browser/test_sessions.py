"""Several visitors at once: each gets an own answer, and no run is lost."""

import asyncio
from html import escape
from pathlib import Path

from tests.browser.server import Server, serve
from tests.browser.session import Session
from tests.factories import ask
from tests.unit.service.stubs import wait_for

TARGETS = ("tr", "de", "yo", "fi", "zh")


def test_visitors_at_once_get_their_own_answers_and_runs(tmp_path: Path) -> None:
    with serve(tmp_path, {"ADVISOR_MAX_QUEUE": "5", "ADVISOR_LIST_ALL": ""}) as server:
        asyncio.run(_all_ask(server))
        asyncio.run(_all_start(server))
        runs = server.store.runs()
        assert len(runs) == len(TARGETS)
        assert len({server.store.record(run.id).owner for run in runs}) == len(TARGETS)
        for run in runs:
            server.store.ask_to_stop(run.id)
        wait_for(lambda: not any(run.active for run in server.store.runs()), seconds=60)
        assert {run.status for run in server.store.runs()} == {"cancelled"}


async def _all_ask(server: Server) -> None:
    visits = [Session.open(server.url, view="ask", target=target) for target in TARGETS]
    for session, target in zip(await asyncio.gather(*visits), TARGETS, strict=True):
        advice = ask(model="xlm-roberta-base", source="en", target=target, task="pos")
        assert escape(advice.summary) in session.html()
        await session.close()


async def _all_start(server: Server) -> None:
    sessions = await asyncio.gather(*(Session.open(server.url, view="probe") for _ in TARGETS))
    await asyncio.gather(*(session.press("Start the probe") for session in sessions))
    for session in sessions:
        await session.close()

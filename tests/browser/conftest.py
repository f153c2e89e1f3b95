import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from advisor.app import _state
from advisor.files import write_files
from advisor.grid import AnswerCell, AnswerGrid, grid_page
from advisor.grid.joint import joint_answer
from advisor.report import Report
from advisor.service import Limits, Run, RunQueue, RunStore
from advisor.service._runs import Job
from probes.request import ProbeRequest
from tests.factories import make_advice, make_signals
from tests.unit.service.stubs import SAMPLE, SESSION, make_queue
from tests.unit.test_grid_probe import cosine

APP = Path(__file__).parents[2] / "app.py"
RECIPE = {"recipe/train.py": "print(1)\n"}

OpenPage = Callable[..., AppTest]
FinishedRun = Callable[..., Run]


@pytest.fixture
def queue_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RunQueue]]:
    """Gives the page a queue whose runs do what they are given."""
    made: list[RunQueue] = []

    def make(body: str, limits: Limits | None = None) -> RunQueue:
        queue = make_queue(tmp_path / "store", body, limits)
        made.append(queue)
        monkeypatch.setattr(_state, "queue", lambda: queue)
        return queue

    yield make
    for queue in made:
        queue.close()


@pytest.fixture
def queue(queue_of: Callable[..., RunQueue]) -> RunQueue:
    """The page's queue, in which nothing is run."""
    return queue_of("", Limits(list_all=True))


@pytest.fixture
def open_page(queue: RunQueue) -> OpenPage:
    """Opens the page by a link."""

    def open_it(**link: str) -> AppTest:
        page = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in link.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception, page.exception
        return page

    return open_it


@pytest.fixture(scope="session")
def written_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a run writes, made once: its pictures take seconds; only to be copied."""
    folder = tmp_path_factory.mktemp("written") / "report"
    Report(make_advice(), make_signals()).write(folder, RECIPE)
    return folder


@pytest.fixture
def grid_run(queue: RunQueue) -> Run:
    """A grid in the store that was stopped: two cells were measured, one was refused and one waits."""
    return put_grid(queue.store, Report(make_advice(), make_signals()))


def put_grid(store: RunStore, report: Report) -> Run:
    """Puts a grid that was stopped into ``store``."""
    request = SAMPLE.model_copy(update={"target": "tr,fi,xx,yo"})
    run = store.create(request, SESSION, Job(cells=(SAMPLE,) * 4))
    names = {"model": "bundled", "source": "en", "task": "pos"}
    cells = [AnswerCell(**names, target=t, advice=make_advice(), folder=f"bundled/{t}") for t in ("tr", "fi")]
    cells += [AnswerCell(**names, target="xx", problem="No bitext."), AnswerCell(**names, target="yo")]
    for cell in cells[:2]:
        report.write(store.folder(run.id) / str(cell.folder), RECIPE)
    joint = joint_answer({t: make_advice() for t in ("tr", "fi")}, [cosine("tr", "fi", 0.52)])
    assert joint is not None
    grid = AnswerGrid.of(cells, [joint.model_copy(update={"model": "bundled"})])
    write_files(store.folder(run.id), {"grid.json": grid.to_json(), "report.html": grid_page(grid)})
    store.finish(store.record(run.id), "cancelled")
    return store.run(run.id)


@pytest.fixture
def finished_run(queue: RunQueue, written_report: Path) -> FinishedRun:
    """Puts a finished run into the store."""

    def put(request: ProbeRequest = SAMPLE, session: str = SESSION, report: Report | None = None) -> Run:
        store = queue.store
        run = store.create(request, session)
        if report is None:
            shutil.copytree(written_report, store.folder(run.id), dirs_exist_ok=True)
        else:
            report.write(store.folder(run.id), RECIPE)
        decision = (report.advice if report else make_advice()).decision
        store.finish(store.record(run.id), "done", decision=decision, summary="Align.")
        return store.run(run.id)

    return put

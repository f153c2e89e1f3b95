"""Grids over HTTP: what is asked for, what is kept, and what may be fetched of it."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
from fastapi.testclient import TestClient

from advisor.grid import AnswerCell, AnswerGrid, JointAnswer
from advisor.grid.joint import joint_answer
from advisor.sample import sample_path
from advisor.service import Limits, RunQueue
from advisor.service._child import carry_out
from advisor.service._runs import Job
from advisor.service._store import read_job
from advisor.service.http import create_app
from probes.gradients.between import Pulls
from probes.material.inputs import Inputs
from probes.request import ProbeRequest
from probes.run import TargetProbes
from probes.signals import Signals
from tests.factories import make_signals
from tests.unit.service.conftest import MakeQueue
from tests.unit.service.stubs import FINISHES, SAMPLE, ended
from tests.unit.test_grid_probe import cosine

LOOPBACK = "http://127.0.0.1"

Grid = tuple[RunQueue, str]
"""A queue, and the id of a grid in it."""


@pytest.fixture
def client(queue_of: MakeQueue) -> TestClient:
    """Somebody on this machine; runs finish at once."""
    return TestClient(create_app(queue_of(FINISHES)), base_url=LOOPBACK)


TARGETS = {
    "target": "tr,no such language,de",
    "bitext": "sample:bitext.en-{target}.tsv",
    "target_labels": "sample:{target}.conllu",
}


def test_one_bad_target_keeps_the_others(client: TestClient) -> None:
    request = SAMPLE.model_copy(update=TARGETS).model_dump(mode="json")
    preview = client.post("/previews", json=request).json()
    assert preview["cells"] == 3
    assert "bitext.en-tr.tsv" in str(preview["inputs"])
    (refused,) = preview["refused"]
    assert "no such language" in refused
    assert client.post("/runs", json=request).json()["kind"] == "grid"
    nothing = client.post("/runs", json=request | {"target": "no such language,nor this"})
    assert nothing.status_code == 422
    assert "no such language" in nothing.json()["detail"]


@pytest.fixture
def uploads_grid(queue_of: MakeQueue, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A grid over uploaded training data whose process measures nothing: cells are made up as they come."""

    def measure(_: object, request: ProbeRequest, __: object, inputs: Inputs) -> tuple[Signals, Pulls]:
        if request.target == "ru":
            raise KeyboardInterrupt
        pulls = Pulls(("token-l2",), (), {"layer.0": np.zeros((1, 5, 8), dtype=np.float32)})
        return make_signals(2, ("token-l2",), target=request.target, data=inputs.facts), pulls

    def joined(_: object, cells: Sequence[AnswerCell], __: object) -> Iterator[JointAnswer]:
        answer = joint_answer(
            {cell.target: cell.advice for cell in cells[:2] if cell.advice}, [cosine("tr", "de", 0.5)]
        )
        assert answer is not None
        yield answer.model_copy(update={"model": "bundled", "groups": (("tr", "de"),)})

    monkeypatch.setattr(TargetProbes, "measure", measure)
    monkeypatch.setattr("advisor.grid.compare_targets", joined)
    queue = queue_of("until(folder / 'go on')")
    upload = queue.store.save_upload("http", "mine.conllu", [sample_path("en.conllu").read_bytes()], 10**6)
    request = SAMPLE.model_copy(update=TARGETS | {"train": upload.spec})
    return queue, queue.submit(request, "http").id


def test_all_of_a_grid_can_be_fetched_and_none_of_it_names_an_upload(uploads_grid: Grid) -> None:
    queue, run_id = uploads_grid
    folder = queue.store.folder(run_id)
    assert carry_out(folder, read_job(folder), print) == 0
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    grid = AnswerGrid.model_validate(client.get(f"/runs/{run_id}/grid").json())
    assert [cell.target for cell in grid.cells if cell.advice] == ["tr", "de"]
    assert "no such language" in (grid.failed[0].problem or "")
    page = client.get(f"/runs/{run_id}/report")
    links = re.findall(r'href="([^"#]+)"', page.text)
    assert len(links) == 2
    fetched = [page.text, client.get(f"/runs/{run_id}/grid").text]
    for link in links:
        report = client.get(urljoin(str(page.url), link))
        assert report.headers["content-type"].startswith("text/html")
        signals = client.get(urljoin(str(report.url), "signals.json"))
        assert Signals.model_validate(signals.json()).data[0].spec == "mine.conllu"
        fetched += [report.text, signals.text]
    for bad in ("bundled/nothing", "..", "%2e%2e", f"../{run_id}"):
        assert client.get(f"/runs/{run_id}/{bad}/report.html").status_code == 404
    with zipfile.ZipFile(io.BytesIO(client.get(f"/runs/{run_id}/recipe").content)) as archive:
        recipes = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {name.rpartition("/")[0] for name in recipes} == {
        "bundled/tr/recipe",
        "bundled/de/recipe",
        "bundled/joint-de-tr/recipe",
    }
    assert not [text for text in (*fetched, *recipes.values()) if "/uploads/" in text]


def test_a_grid_that_is_cancelled_keeps_its_finished_cells(uploads_grid: Grid) -> None:
    queue, run_id = uploads_grid
    folder = queue.store.folder(run_id)
    (tr, de), refused = read_job(folder).cells, read_job(folder).refused
    stopped = Job(cells=(tr, de.model_copy(update={"target": "ru"})), refused=refused)
    with pytest.raises(KeyboardInterrupt):
        carry_out(folder, stopped, print)
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    for _ in range(2):
        grid = AnswerGrid.model_validate(client.get(f"/runs/{run_id}/grid").json())
        assert [(cell.target, cell.advice is None, cell.problem is None) for cell in grid.cells] == [
            ("tr", False, True),
            ("ru", True, True),
            ("no such language", True, False),
        ]
        assert "not run yet" in client.get(f"/runs/{run_id}/report").text
        client.post(f"/runs/{run_id}/cancel")
        assert ended(queue, queue.store.run(run_id)).status == "cancelled"


@pytest.mark.parametrize("operation", ["/runs", "/previews", "/ask"])
def test_cells_are_counted_before_they_are_made(client: TestClient, operation: str) -> None:
    many = ",".join(f"m{i}" for i in range(500))
    asked = SAMPLE.model_copy(update=TARGETS | {"model": many, "target": many}).model_dump(mode="json")
    if operation == "/ask":
        answer = client.post("/ask", json=[{"model": many, "target": many, "task": many}] * 1000)
    else:
        answer = client.post(operation, json=asked)
    assert answer.status_code == 422
    assert "1000 at most" in answer.json()["detail"]


def test_every_target_can_have_its_own_uploads(queue_of: MakeQueue) -> None:
    queue = queue_of("until(folder / 'go on')")
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    ids = {}
    for target in ("tr", "de"):
        sent = client.post(f"/uploads?name=bitext.{target}.tsv", content=f"a\t{target}".encode())
        ids[f"en-{target}.tsv"] = sent.json()["spec"]
    request = SAMPLE.model_copy(update=TARGETS | {"target": "tr,de,ru"}).model_dump(mode="json")
    named = request | {"bitext": "sample:bitext.en-tr.tsv+upload:en-{target}.tsv", "uploads": ids}
    preview = client.post("/previews", json=named).json()
    assert preview["cells"] == 3
    assert "No upload is named en-ru.tsv" in preview["refused"][0]
    bare = named | {"bitext": "upload:{target}", "uploads": {"tr": ids["en-tr.tsv"]}}
    assert "No upload is named de:" in client.post("/previews", json=bare).json()["refused"][0]
    run_id = client.post("/runs", json=named).json()["id"]
    cells = read_job(queue.store.folder(run_id)).cells
    assert [Path(cell.bitext.partition("+")[2]).read_text() for cell in cells] == ["a\ttr", "a\tde"]
    assert {spec.removeprefix("upload:") for spec in ids.values()} <= queue.store._in_use()
    assert (
        client.post("/previews", json=queue.store.request(run_id).model_dump(mode="json")).json() == preview
    )
    shared = client.post("/runs", json=request | {"bitext": ids["en-tr.tsv"]})
    assert shared.status_code == 422
    assert '"uploads": {"en-tr.tsv"' in shared.json()["detail"]


def test_a_grid_that_takes_too_long_says_that_its_cells_are_kept(queue_of: MakeQueue) -> None:
    queue = queue_of("until(folder / 'go on')", Limits(run_minutes=0.001))
    run = ended(queue, queue.submit(SAMPLE.model_copy(update=TARGETS), "http"))
    assert run.status == "failed"
    assert "The cells that were finished are kept." in (run.error or "")

"""The API keeps to its own description, to the limits, and to its token."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given

from advisor.advice import Advice
from advisor.grid import AnswerGrid
from advisor.service import Limits
from advisor.service._child import carry_out
from advisor.service._runs import Job
from advisor.service.http import create_app, serve
from probes.errors import InputError
from tests.examples import examples
from tests.factories import ask, make_advice, make_signals
from tests.unit.service.conftest import MakeQueue
from tests.unit.service.stubs import FINISHES, SAMPLE, SESSION, WAITS, ended, make_queue, wait_for

LOOPBACK = "http://127.0.0.1"
TOKEN = "a-token-long-enough-to-be-safe"


@pytest.mark.slow
def test_the_api_keeps_to_its_description(tmp_path: Path) -> None:
    import schemathesis  # a second, which only the process that runs this test need wait for
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    queue = make_queue(tmp_path, FINISHES, Limits(queue_length=1, upload_mb=0.01))
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(queue, TOKEN))
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) >= 14
    conforms = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    for operation in operations:

        @given(case=operation.as_strategy())
        @examples(40, derandomize=True, suppress_health_check=list(HealthCheck))
        def keeps_to_its_description(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=conforms)

        keeps_to_its_description()
    queue.close()


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentation_asks_nothing_of_the_network(tmp_path: Path, page: str) -> None:
    queue = make_queue(tmp_path, FINISHES)
    with TestClient(create_app(queue, TOKEN), base_url=LOOPBACK) as client:
        text = client.get(page).text
        addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert addresses
        assert all(address.startswith("/") for address in addresses)
        assert all(client.get(address).status_code == 200 for address in addresses)
        assert "/openapi.json" in text


@pytest.fixture
def client(queue_of: MakeQueue) -> TestClient:
    """Somebody on this machine; runs finish at once."""
    return TestClient(create_app(queue_of(FINISHES, Limits(upload_mb=0.01))), base_url=LOOPBACK)


def _ended(client: TestClient, run_id: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        run: dict[str, object] = client.get(f"/runs/{run_id}").json()
        return None if run["status"] in ("queued", "running") else run

    return wait_for(look)


def test_ask_gives_the_command_lines_answer(client: TestClient) -> None:
    question = {"model": "xlm-roberta-base", "target": "yo", "task": "pos"}
    answer = Advice.model_validate(client.get("/ask", params=question).json())
    expected = ask(model="xlm-roberta-base", source="en", target="yo", task="pos")
    assert answer.summary == expected.summary


def test_languages_of_pretraining_are_spelled_as_on_the_command_line(client: TestClient) -> None:
    question = {"model": "own", "target": "te", "task": "pos"}
    answer = Advice.model_validate(client.get("/ask", params=question | {"pretrained_on": "en,yo"}).json())
    assert answer.question.pretrained_on == ("en", "yo")


def test_a_list_is_sent_to_the_request_for_many(client: TestClient) -> None:
    answer = client.get("/ask", params={"model": "xlm-roberta-base,mbert", "target": "te", "task": "pos"})
    assert answer.status_code == 422
    assert "POST /ask" in answer.json()["detail"]


def test_many_questions_are_one_request(client: TestClient) -> None:
    asked = [{"model": "xlm-roberta-base,mbert", "target": "yo,xx", "task": "pos", "min_gain": 1.0}]
    grid = AnswerGrid.model_validate(client.post("/ask", json=asked).json())
    assert [(cell.model, cell.target) for cell in grid.cells if cell.advice] == [
        ("xlm-roberta-base", "yo"),
        ("mbert", "yo"),
    ]
    assert "'xx'" in (grid.failed[0].problem or "")
    assert grid.cells[0].advice is not None
    assert grid.cells[0].advice.min_gain == 1
    many = ",".join(f"m{i}" for i in range(1001))
    refused = client.post("/ask", json=[{"model": many, "target": "yo", "task": "pos"}])
    assert refused.status_code == 422
    assert "1000 at most" in refused.json()["detail"]


def test_a_grid_of_probes_is_one_run(client: TestClient, tmp_path: Path) -> None:
    several = {"target": "tr,ar", "bitext": "sample:bitext.en-{target}.tsv"}
    several["target_labels"] = "sample:{target}.conllu"
    request = SAMPLE.model_copy(update=several).model_dump(mode="json")
    started = client.post("/runs", json=request)
    assert (started.status_code, started.json()["kind"]) == (202, "grid")
    _ended(client, started.json()["id"])
    one_file = client.post("/runs", json=request | {"bitext": "sample:bitext.en-tr.tsv"})
    assert one_file.status_code == 422
    assert "{target}" in one_file.json()["detail"]
    assert client.post("/runs", json=request | {"bitext": "/etc/{target}"}).status_code == 422
    assert client.post("/trials", json={"request": request, "plan": {"options": ["none"]}}).status_code == 422

    missing = [SAMPLE.model_copy(update={"target": t, "bitext": f"/nowhere/{t}.tsv"}) for t in ("tr", "ar")]
    told: list[dict[str, object]] = []
    assert carry_out(tmp_path, Job(cells=tuple(missing)), told.append) == 0
    grid = AnswerGrid.model_validate_json((tmp_path / "grid.json").read_text())
    assert len(grid.failed) == 2
    assert [event["event"] for event in told] == ["phase", "step", "cost", "step", "cost", "done"]
    assert "nowhere" in (tmp_path / "report.html").read_text()


def test_signals_are_advised_on(client: TestClient) -> None:
    answer = client.post("/recommend?min_gain=1", json=make_signals().model_dump(mode="json"))
    assert Advice.model_validate(answer.json()).min_gain == 1


def test_evidence_is_paged_and_filtered(client: TestClient) -> None:
    first = client.get("/evidence", params={"task": "ner", "limit": 2}).json()
    second = client.get("/evidence", params={"task": "ner", "limit": 2, "offset": 2}).json()
    assert first["total"] == second["total"] > 4
    assert len(first["effects"]) == 2
    assert first["effects"] != second["effects"]
    assert {row["task"] for row in first["effects"]} == {"ner"}
    assert {row["id"] for row in first["sources"]} == {row["source_id"] for row in first["effects"]}


def test_a_run_from_upload_to_results(client: TestClient) -> None:
    sent = client.post("/uploads?name=mine.conllu", content=b"text")
    assert (sent.status_code, sent.json()["name"], sent.json()["size"]) == (201, "mine.conllu", 4)
    request = SAMPLE.model_copy(update={"train": sent.json()["spec"]}).model_dump(mode="json")
    started = client.post("/runs", json=request)
    assert started.status_code == 202
    run_id = started.json()["id"]
    run = _ended(client, run_id)
    assert (run["status"], run["decision"]) == ("done", "align")
    assert [row["id"] for row in client.get("/runs").json()] == [run_id]
    for name, kind in (("signals", "json"), ("advice", "json"), ("report", "html"), ("recipe", "zip")):
        answer = client.get(f"/runs/{run_id}/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
    assert client.delete(f"/runs/{run_id}").status_code == 204
    assert client.get(f"/runs/{run_id}").status_code == 404


def test_a_preview_says_what_would_be_read(client: TestClient) -> None:
    preview = client.post("/previews", json=SAMPLE.model_dump(mode="json")).json()
    assert [seen["kept"] for seen in preview["inputs"]] == [120, 120, 120]
    assert preview["forecast"]["seconds"] > 0


def test_a_run_is_cancelled_and_not_removed_before(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS)
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    run_id = client.post("/runs", json=SAMPLE.model_dump(mode="json")).json()["id"]
    assert client.delete(f"/runs/{run_id}").status_code == 409
    assert client.get(f"/runs/{run_id}/advice").status_code == 404
    assert client.post(f"/runs/{run_id}/cancel").status_code == 200
    assert _ended(client, run_id)["status"] == "cancelled"


def test_a_full_queue_answers_429(queue_of: MakeQueue) -> None:
    queue = queue_of(WAITS, Limits(queue_length=1))
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    first = queue.submit(SAMPLE, SESSION)
    wait_for(lambda: queue.store.run(first.id).status == "running")
    answers = [client.post("/runs", json=SAMPLE.model_dump(mode="json")).status_code for _ in range(2)]
    assert answers == [202, 429]


def test_what_is_too_large_is_refused(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/uploads?name=big.tsv", content=b"x" * 20_000)
    assert answer.status_code == 413
    assert not list(tmp_path.rglob("big.tsv"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret", "hf:/etc", "upload:../x"])
def test_paths_outside_the_roots_are_refused(client: TestClient, path: str) -> None:
    request = SAMPLE.model_dump(mode="json") | {"train": path}
    for operation in ("/runs", "/previews"):
        answer = client.post(operation, json=request)
        assert answer.status_code == 422
        assert "\n" not in answer.json()["detail"]


def test_without_the_token_nobody_gets_in(queue_of: MakeQueue) -> None:
    client = TestClient(create_app(queue_of(FINISHES), TOKEN))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for operation in ("/health", "/runs", "/ask?model=a&target=tr&task=pos"):
            assert client.get(operation, headers=headers).status_code == 401
    assert client.get("/health", headers={"Authorization": f"Bearer {TOKEN}"}).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"host": "[::1"}]
)
def test_without_a_token_other_sites_in_the_browser_get_nothing(
    client: TestClient, headers: dict[str, str]
) -> None:
    assert client.get("/runs", headers=headers).status_code == 403
    assert client.get("/runs", headers={"origin": LOOPBACK}).status_code == 200


def test_serving_to_others_needs_a_good_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADVISOR_TOKEN", raising=False)
    with pytest.raises(InputError, match="set ADVISOR_TOKEN to 16"):
        serve("0.0.0.0", 0)
    with pytest.raises(InputError, match="too short"):
        serve("0.0.0.0", 0, token="short")


def test_a_restart_in_mid_run_loses_no_record(tmp_path: Path) -> None:
    first = make_queue(tmp_path, WAITS)
    run = first.submit(SAMPLE, SESSION)
    wait_for(lambda: first.store.run(run.id).step == 1)
    first.close()
    second = make_queue(tmp_path, WAITS)
    client = TestClient(create_app(second), base_url=LOOPBACK)
    assert [(row["id"], row["status"]) for row in client.get("/runs").json()] == [(run.id, "interrupted")]


def test_advice_reads_the_same_over_http(queue_of: MakeQueue) -> None:
    queue = queue_of(FINISHES)
    run = ended(queue, queue.submit(SAMPLE, SESSION))
    (queue.store.folder(run.id) / "advice.json").write_text(make_advice().model_dump_json())
    client = TestClient(create_app(queue), base_url=LOOPBACK)
    assert Advice.model_validate(client.get(f"/runs/{run.id}/advice").json()) == make_advice()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_is_not_a_file(client: TestClient, kind: str) -> None:
    answer = client.post("/uploads?name=a.tsv", content=b"a\tb\n", headers={"content-type": kind})
    assert answer.status_code == 415
    assert "--data-binary" in answer.json()["detail"]


def test_an_empty_upload_is_refused_at_once(client: TestClient) -> None:
    answer = client.post("/uploads?name=a.tsv", content=b"")
    assert answer.status_code == 422
    assert "empty" in answer.json()["detail"]

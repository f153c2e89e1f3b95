"""The operations of the HTTP API, by what they are about."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from advisor.advice import Advice
from advisor.decide import DEFAULT_MIN_GAIN
from advisor.findings import load_tables
from advisor.findings.evidence import Effect, Source
from advisor.grid import AnswerGrid, ask_grid, crossed
from advisor.race import RaceResult
from advisor.recommend import Asked
from advisor.recommend import ask as ask_evidence
from advisor.recommend import recommend as recommend_from
from advisor.service._admission import check_size
from advisor.service._preview import Preview
from advisor.service._queue import RunQueue
from advisor.service._runs import RacePlan, Run, RunRequest, TrialPlan
from advisor.study import TrialResult
from probes.signals import Signals

_SESSION = "http"
"""All callers hold the same token, so they share their uploads."""
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
"""What forms and curl's -d send: the file would be wrapped in parts, or without its line breaks."""

RunId = Annotated[str, Path(description="The id that starting the run returned.")]
Name = Annotated[str, Query(min_length=1, max_length=200)]
MinGain = Annotated[float, Query(ge=0, le=100, allow_inf_nan=False)]


def _queue(request: Request) -> RunQueue:
    queue: RunQueue = request.app.state.queue
    return queue


Queue = Annotated[RunQueue, Depends(_queue)]


class Problem(BaseModel):
    """What went wrong, in one sentence."""

    detail: str


class Health(BaseModel):
    """That the service answers."""

    status: Literal["ok"] = "ok"


class Uploaded(BaseModel):
    """A file that a run can name now; it is removed a day after its last run, or with it."""

    name: str
    size: int
    spec: str = Field(description="Name it so in a request: upload:ID.")


class Evidence(BaseModel):
    """A page of the evidence."""

    total: int = Field(description="Effects that match, on all pages.")
    effects: list[Effect]
    sources: list[Source]


def answers(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The refusals an operation documents beside those that all share."""
    return {code: {"model": Problem} for code in (*codes, 400, 401, 403, 422)}


def _of_type(media_type: str, **schema: str) -> dict[int | str, dict[str, Any]]:
    """An answer that is no JSON, and the refusal of a run that there is not."""
    return answers(404) | {200: {"content": {media_type: {"schema": {"type": "string", **schema}}}}}


routes = APIRouter()
"""All operations; they find the queue in the state of the application."""


@routes.get("/health")
def health() -> Health:
    """Whether the service answers."""
    return Health()


# --- questions that are answered at once -----------------------------------------------------------------


@routes.get("/ask")
def ask(
    question: Annotated[Asked, Query()],
) -> Advice:
    """Advice from the evidence alone, at once."""
    return ask_evidence(question)


@routes.post("/ask")
def ask_many(questions: Annotated[list[Asked], Body(min_length=1, max_length=1000)]) -> AnswerGrid:
    """Many questions at once, in one table; ``model``, ``target`` and ``task`` may be lists by commas.

    A question that cannot be answered carries its sentence in its cell.
    """
    check_size((question.model, question.target, question.task) for question in questions)
    each = []
    for question in questions:
        shared = question.model_dump(exclude={"model", "target", "task"})
        each += crossed(question.model, question.target, question.task, **shared)
    return ask_grid(each)


@routes.post("/recommend")
def recommend(signals: Signals, min_gain: MinGain = DEFAULT_MIN_GAIN) -> Advice:
    """Advice from signals that were measured before."""
    return recommend_from(signals, min_gain=min_gain)


@routes.get("/evidence")
def evidence(
    model: str | None = None,
    task: str | None = None,
    target: str | None = None,
    objective: str | None = None,
    source_id: str | None = None,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Evidence:
    """Published and own effects, in the order of the tables, with their sources."""
    tables = load_tables()
    wanted = {"model": model, "task": task, "target": target, "objective": objective, "source_id": source_id}
    matching = [
        effect
        for effect in tables.effects
        if all(value is None or getattr(effect, name) == value for name, value in wanted.items())
    ]
    rows = matching[offset : offset + limit]
    sources = [tables.sources[name] for name in dict.fromkeys(row.source_id for row in rows)]
    return Evidence(total=len(matching), effects=rows, sources=sources)


# --- files, and what a run would read of them ------------------------------------------------------------


@routes.post(
    "/uploads",
    status_code=201,
    responses=answers(413, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    request: Request,
    queue: Queue,
    name: Annotated[Name, Query(description="File name; its ending says the format.")],
) -> Uploaded:
    """Send a file, as the request's body, for a run to use."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        raise HTTPException(
            415,
            "The file is the body itself, not a form: send it as curl --data-binary @FILE does, with "
            "Content-Type: application/octet-stream.",
        )
    most = queue.limits.upload_bytes
    chunks = [bytes(chunk) async for chunk in _at_most(request, most)]
    saved = await run_in_threadpool(queue.store.save_upload, _SESSION, name, chunks, most)
    return Uploaded(name=saved.name, size=saved.size, spec=saved.spec)


async def _at_most(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, refused as soon as it is known to be too large."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413, f"The file is larger than {most / 2**20:g} MiB: send a part of it.")
        yield chunk


@routes.post("/previews")
def preview(request: RunRequest, queue: Queue) -> Preview:
    """What a run would read and may cost, without starting it; of a grid, what its first cell would."""
    return queue.preview(request, _SESSION)


# --- runs ------------------------------------------------------------------------------------------------


@routes.post("/runs", status_code=202, responses=answers(429))
def start(request: RunRequest, queue: Queue) -> Run:
    """Start a probe, or queue it behind others.

    Several models or targets by commas make a grid, with ``{target}`` in the names of files, those of
    ``uploads`` too: follow it as any run, and see ``/runs/{run_id}/grid``.
    """
    return queue.submit(request, _SESSION)


@routes.post("/trials", status_code=202, responses=answers(429))
def start_trial(request: RunRequest, plan: TrialPlan, queue: Queue) -> Run:
    """Align and fine-tune for real, or queue it behind other runs; it needs target labels."""
    return queue.submit(request, _SESSION, plan)


@routes.post("/races", status_code=202, responses=answers(429))
def start_race(request: RunRequest, plan: RacePlan, queue: Queue) -> Run:
    """Race options in runs cut short, or queue that behind other runs; it needs target labels."""
    return queue.submit(request, _SESSION, plan)


@routes.post("/runs/{run_id}/resume", status_code=202, responses=answers(404, 429))
def resume(run_id: RunId, queue: Queue) -> Run:
    """Go on with a race that was stopped, from its last step."""
    return queue.resume(run_id)


@routes.get("/runs")
def runs(queue: Queue) -> list[Run]:
    """All runs, the newest first."""
    return queue.store.runs()


@routes.get("/runs/{run_id}", responses=answers(404))
def follow(run_id: RunId, queue: Queue) -> Run:
    """How far a run has come."""
    return queue.store.run(run_id)


@routes.post("/runs/{run_id}/cancel", responses=answers(404))
def cancel(run_id: RunId, queue: Queue) -> Run:
    """Stop a run or take it out of the queue; one that has ended stays as it is."""
    return queue.cancel(run_id)


@routes.delete("/runs/{run_id}", status_code=204, responses=answers(404, 409))
def remove(run_id: RunId, queue: Queue) -> None:
    """Forget a run that has ended, with its results."""
    if queue.store.run(run_id).active:
        raise HTTPException(409, "This run has not ended: cancel it before you remove it.")
    queue.store.remove(run_id)


# --- what runs end with ----------------------------------------------------------------------------------


@routes.get("/runs/{run_id}/race", response_model=RaceResult, responses=answers(404))
def race(run_id: RunId, queue: Queue) -> Response:
    """What a race has found, or believes so far."""
    standing = queue.store.race(run_id)
    if standing is None:
        raise HTTPException(404, "This run is no race, or has taken no step yet.")
    return Response(standing, media_type="application/json")


def _result(name: str) -> Callable[..., Response]:
    def result(run_id: RunId, queue: Queue) -> Response:
        return Response(queue.store.artefact(run_id, name).read_bytes(), media_type="application/json")

    return result


for _name, _model, _about in (
    ("signals", Signals, "What a finished run measured."),
    ("advice", Advice, "What a finished run advises."),
    ("grid", AnswerGrid, "The cells of a grid as far as they are finished, and what to align together."),
    ("trial", TrialResult, "What a finished trial gained."),
):
    routes.add_api_route(
        f"/runs/{{run_id}}/{_name}",
        _result(f"{_name}.json"),
        name=_name,
        description=_about,
        response_model=_model,
        responses=answers(404),
    )


@routes.get("/runs/{run_id}/report", response_class=Response, responses=_of_type("text/html"))
def report(run_id: RunId, queue: Queue) -> Response:
    """The report of a finished run, as one page."""
    return HTMLResponse(queue.store.artefact(run_id, "report.html").read_bytes())


@routes.get(
    "/runs/{run_id}/{cell:path}/{name}",
    response_class=Response,
    responses=answers(404)
    | {200: {"content": {"text/html": {"schema": {"type": "string"}}, "application/json": {}}}},
)
def cell(
    run_id: RunId, cell: str, name: Literal["report.html", "advice.json", "signals.json"], queue: Queue
) -> Response:
    """A result of one cell of a grid; ``folder`` says where, as in the links of the grid's report."""
    content = queue.store.artefact(run_id, name, cell).read_bytes()
    return (
        HTMLResponse(content) if name == "report.html" else Response(content, media_type="application/json")
    )


@routes.get(
    "/runs/{run_id}/recipe", response_class=Response, responses=_of_type("application/zip", format="binary")
)
def recipe(run_id: RunId, queue: Queue) -> Response:
    """The training recipe of a finished run, as a zip file; of a grid all of them, the joint ones too."""
    return Response(queue.store.recipe_zip(run_id), media_type="application/zip")

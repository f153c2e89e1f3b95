"""The HTTP API: what the page can do, for programs.

Interactive documentation is at ``/docs`` and needs no network, the OpenAPI document at ``/openapi.json``.
Whatever goes wrong is answered with ``{"detail": "one sentence"}``.
"""

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from advisor.findings import load_findings
from advisor.service._limits import Limits, is_loopback, store_path
from advisor.service._queue import QueueFullError, RunQueue
from advisor.service._routes import answers, routes
from advisor.service._runs import UnknownRunError
from advisor.service._store import RunStore
from probes.errors import InputError, RunError

_SHORTEST_TOKEN = 16


def create_app(queue: RunQueue, token: str | None = None) -> FastAPI:
    """The API as an ASGI application; see :func:`serve`.

    Args:
        queue: what runs probes; it brings the store and the limits.
        token: what callers must send as ``Authorization: Bearer ...``; None lets everybody in.
    """
    app = FastAPIOffline(
        title="Alignment advisor",
        summary="Should a multilingual encoder be aligned before it is fine-tuned - and how?",
        description=__doc__,
        version="1",
        responses=answers(),
        lifespan=_lifespan(queue),
    )
    _refuse_in_one_sentence(app)
    app.state.queue = queue
    app.include_router(routes, dependencies=[Depends(_gate(token))])
    return app


def serve(
    host: str = "127.0.0.1", port: int = 8000, token: str | None = None, limits: Limits | None = None
) -> None:
    """Serve the API until interrupted.

    Args:
        host: address to listen on; anything but a loopback address needs a token.
        port: to listen on.
        token: by default that of the environment variable ``ADVISOR_TOKEN``.
        limits: what callers may do; by default what the environment says.

    Raises:
        InputError: if the address is not loopback and there is no token, or the token is too short.
        RunError: if the server could not listen at that address.
    """
    token = token or os.environ.get("ADVISOR_TOKEN") or None
    if token is None and not is_loopback(host):
        raise InputError(
            f"{host} can be reached from other machines: set ADVISOR_TOKEN to {_SHORTEST_TOKEN} random "
            "characters or more, or listen on 127.0.0.1."
        )
    if token is not None and len(token) < _SHORTEST_TOKEN:
        raise InputError(
            f"The token is too short to be safe: take {_SHORTEST_TOKEN} random characters or more."
        )
    app = create_app(RunQueue(RunStore(store_path()), limits or Limits.of_server(host)), token)
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning"))
    try:
        server.run()
    except SystemExit as error:  # how uvicorn says that the port is taken
        raise RunError(
            f"Cannot listen on {host} port {port}: choose another port, or an address of this machine."
        ) from error


def _lifespan(queue: RunQueue) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(load_findings)  # fitted now, so that the first answer comes at once
        yield
        await run_in_threadpool(queue.close)

    return lifespan


def _gate(token: str | None) -> Callable[..., None]:
    """Lets in whoever has the token; without one, only what a browser on another site cannot send."""
    bearer = HTTPBearer(auto_error=False, description="The token the service was started with.")

    def with_token(
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    ) -> None:
        sent = credentials.credentials if credentials else ""
        if not secrets.compare_digest(sent.encode(), str(token).encode()):
            raise HTTPException(
                401, "Send the token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )

    def from_this_machine(request: Request) -> None:
        # Any page in the user's browser can send requests here, and a name can be made to point here.
        asked = request.headers.get("host", "")
        origin = request.headers.get("origin")
        if not _is_own_name(asked) or (origin is not None and urlsplit(origin).netloc != asked):
            raise HTTPException(403, "Without a token only this machine may ask, by its loopback address.")

    return from_this_machine if token is None else with_token


def _is_own_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _refuse_in_one_sentence(app: FastAPI) -> None:
    def answer(status: int, text: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"detail": " ".join(text.split())}, status, headers)

    @app.exception_handler(InputError)
    def _input(_request: Request, error: InputError) -> JSONResponse:
        status = (
            404 if isinstance(error, UnknownRunError) else 429 if isinstance(error, QueueFullError) else 422
        )
        return answer(status, str(error))

    @app.exception_handler(RequestValidationError)
    def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        return answer(422, f"{where}: {first['msg']}.")

    @app.exception_handler(AnyHTTPException)
    def _http(_request: Request, error: AnyHTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail), error.headers)

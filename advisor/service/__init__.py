"""Probes, trials and races as runs: one store and one queue behind the page and the HTTP API.

A run is a folder on disk (:class:`RunStore`), so that it outlives the page that asked for it and the
process that ran it. A :class:`RunQueue` runs one at a time, each in a process of its own: torch never enters
the server, a cancelled run leaves nothing behind, and a run that eats all memory takes nobody with it.
:class:`Limits` says what a visitor may name, send and spend.

Nothing here imports torch, and only :func:`serve` and :func:`create_app` import the web framework.
"""

from typing import TYPE_CHECKING

from advisor.service._admission import admit, admit_path
from advisor.service._forecast import Forecast, forecast
from advisor.service._limits import Limits, store_path
from advisor.service._preview import InputPreview, Preview, SideCheck, look
from advisor.service._queue import QueueFullError, RunQueue
from advisor.service._runs import ACTIVE, Kind, RacePlan, Run, Status, TrialPlan, UnknownRunError
from advisor.service._store import RunStore
from advisor.service._uploads import UPLOAD_PREFIX, Upload

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = [
    "ACTIVE",
    "UPLOAD_PREFIX",
    "Forecast",
    "InputPreview",
    "Kind",
    "Limits",
    "Preview",
    "QueueFullError",
    "RacePlan",
    "Run",
    "RunQueue",
    "RunStore",
    "SideCheck",
    "Status",
    "TrialPlan",
    "UnknownRunError",
    "Upload",
    "admit",
    "admit_path",
    "create_app",
    "forecast",
    "look",
    "serve",
    "store_path",
]


def create_app(queue: RunQueue, token: str | None = None) -> "FastAPI":
    """The HTTP API as an ASGI application; see :func:`serve`.

    Args:
        queue: what runs probes; it brings the store and the limits.
        token: what callers must send as ``Authorization: Bearer ...``; None lets everybody in.
    """
    from advisor.service._http import create_app as create

    return create(queue, token)


def serve(
    host: str = "127.0.0.1", port: int = 8000, token: str | None = None, limits: Limits | None = None
) -> None:
    """Serve the HTTP API until interrupted; its documentation is at ``/docs``.

    Args:
        host: address to listen on; anything but a loopback address needs a token.
        port: to listen on.
        token: what callers must send as ``Authorization: Bearer ...``; by default that of the environment
            variable ``ADVISOR_TOKEN``.
        limits: what callers may do; by default what the environment says.

    Raises:
        InputError: if the address is not loopback and there is no token, or the token is too short.
        RunError: if the server could not listen at that address.
    """
    from advisor.service._http import serve as run

    run(host, port, token, limits)

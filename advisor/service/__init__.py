"""Probes, trials and races as runs: one store and one queue behind the page and the HTTP API.

A run is a folder on disk (:class:`RunStore`), so that it outlives the page that asked for it and the
process that ran it. A :class:`RunQueue` runs one at a time, each in a process of its own: torch never enters
the server, a cancelled run leaves nothing behind, and a run that eats all memory takes nobody with it.
:class:`Limits` says what a visitor may name, send and spend.

Nothing here imports torch, and only :mod:`advisor.service.http` imports the web framework.
"""

from advisor.service._admission import admit
from advisor.service._forecast import Forecast, forecast
from advisor.service._limits import Limits, store_path
from advisor.service._preview import Preview, look
from advisor.service._queue import QueueFullError, RunQueue
from advisor.service._runs import Kind, RacePlan, Run, RunRequest, Status, TrialPlan, UnknownRunError
from advisor.service._store import RunStore
from advisor.service._uploads import UPLOAD_PREFIX, Upload

__all__ = [
    "UPLOAD_PREFIX",
    "Forecast",
    "Kind",
    "Limits",
    "Preview",
    "QueueFullError",
    "RacePlan",
    "Run",
    "RunQueue",
    "RunRequest",
    "RunStore",
    "Status",
    "TrialPlan",
    "UnknownRunError",
    "Upload",
    "admit",
    "forecast",
    "look",
    "store_path",
]

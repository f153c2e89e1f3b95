"""How the tests are run, and fixtures that any of them may ask for.

``pytest`` runs everything but the exhaustive sweeps, on all cores; ``pytest -m quick`` what a change is tried
against while it is made; ``pytest -m exhaustive --hypothesis-profile=exhaustive`` the sweeps, and properties
on all their examples. ``-n 0`` keeps a run in one process.
"""

import errno
import gc
import json
import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when huggingface_hub is imported; no test needs a hub
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers fill the cores, and need no threads of their own
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # those of tests that ask for two are not to spin
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import psutil
import pytest
from hypothesis import settings

from tests.examples import USUAL

if TYPE_CHECKING:  # seconds, which the process that only hands out the tests need not wait for
    from probes.encoder import Encoder

settings.register_profile("usual", deadline=None, max_examples=USUAL)  # a busy machine must not fail a test
settings.register_profile("exhaustive", deadline=None)
settings.load_profile("usual")

_WORKER_GIB = 1.5
"""Memory of a worker and of the processes that its tests start."""
_NEVER_QUICK = ("browser", "end_to_end")
"""Folders whose tests start servers, browsers and commands."""

Checkpoint = Callable[[str], Path]
Load = Callable[[str], "Encoder"]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One worker a core, as far as they fit into memory."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:  # the user has chosen
        return None
    room = int(psutil.virtual_memory().available / 2**30 / _WORKER_GIB)
    return max(1, min(joblib.cpu_count(), room))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A quick run need not even import what it will not run."""
    return True if config.option.markexpr == "quick" and collection_path.name in _NEVER_QUICK else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Collect no garbage while tests are: what they import stays, and looking at it takes a quarter of the
    time."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick what is neither slow nor exhaustive nor outside this process, and as exhaustive the
    properties that are to be tried on all their examples."""
    tests = Path(__file__).parent
    all_examples = settings().max_examples > USUAL
    for item in items:
        if all_examples and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("exhaustive")
        folder = item.path.relative_to(tests).parts[0]
        long = any(mark.name in ("slow", "exhaustive") for mark in item.iter_markers())
        if folder not in _NEVER_QUICK and not long:
            item.add_marker("quick")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What is imported by now stays: no collection of garbage (studies ask for many) looks at it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def fill_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nothing more be written below ``folder``; temporary files go to another place."""
    elsewhere = folder.with_name(f"{folder.name}-elsewhere")
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    fsync = os.fsync

    def full(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)


@pytest.fixture(scope="session", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Draw what many reports and pages show once a process: half the time of a report."""
    import vl_convert

    draw = vl_convert.vegalite_to_svg
    drawn: dict[str, str] = {}

    def remembered(chart: dict[str, Any], **how: Any) -> str:
        key = json.dumps([chart, how], sort_keys=True)
        if key not in drawn:
            drawn[key] = draw(chart, **how)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", remembered)
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Folder of a tiny random model, built once a session; only to be read."""
    from tests.models import build

    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = build(name, tmp_path_factory.mktemp(name))
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def load(checkpoint: Checkpoint) -> Load:
    """A tiny encoder as ``load_encoder`` returns it, loaded once a session; only to be read."""
    from probes.encoder import load_encoder

    encoders: dict[str, Encoder] = {}

    def encoder(name: str) -> "Encoder":
        if name not in encoders:
            encoders[name] = load_encoder(str(checkpoint(name)))
        return encoders[name]

    return encoder


@pytest.fixture
def fixed_seed() -> Iterator[None]:
    """The same torch random numbers whenever the test runs; what comes after it is not affected."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield

"""Fixtures that any test may ask for."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when huggingface_hub is imported; no test needs a hub

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from probes.encoder import Encoder, load_encoder
from tests.models import build

settings.register_profile("any machine", deadline=None)  # a busy one must not fail a test
settings.load_profile("any machine")

Checkpoint = Callable[[str], Path]
Load = Callable[[str], Encoder]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Folder of a tiny random model, built once a session; only to be read."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = build(name, tmp_path_factory.mktemp(name))
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def load(checkpoint: Checkpoint) -> Load:
    """A tiny encoder as ``load_encoder`` returns it, loaded once a session; only to be read."""
    encoders: dict[str, Encoder] = {}

    def encoder(name: str) -> Encoder:
        if name not in encoders:
            encoders[name] = load_encoder(str(checkpoint(name)))
        return encoders[name]

    return encoder


@pytest.fixture
def fixed_seed() -> Iterator[None]:
    """The same torch random numbers whenever the test runs; what comes after it is not affected."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield

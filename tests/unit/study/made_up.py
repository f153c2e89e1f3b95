"""Records with scores as a test wants them."""

from advisor.options import NO_ALIGNMENT, Option
from advisor.study._record import Configuration, Record, Scores
from probes.signals import Estimate

JOINT = Option.parse("token-contrastive:joint:0.1")
SEQUENTIAL = Option.parse("sentence-contrastive:sequential")


def make_record(
    option: Option,
    seed: int,
    target: float | None = None,
    source: float = 90.0,
    *,
    error: str = "out of memory",
    seconds: float = 60.0,
) -> Record:
    """A run that is done, or one that failed with ``error`` where there is no target score."""
    return Record(
        configuration=Configuration(
            model_sha256="0" * 64,
            data_sha256={"train": "1" * 64},
            source="en",
            target=None if option == NO_ALIGNMENT else "wo",
            scored={"wo": "2" * 64},
            task="pos",
            option=option,
            seed=seed,
            settings={"max_steps": 120, "columns": {}, "learning_rate": 2e-5},
        ),
        model="user/encoder",
        files={"train": "en.conllu"},
        status="failed" if target is None else "done",
        error=error if target is None else None,
        metric="accuracy",
        scores=None
        if target is None
        else Scores(targets={"wo": Estimate(value=target)}, source=Estimate(value=source)),
        device="cpu",
        threads=1,
        seconds=seconds,
        finished="2026-01-01T00:00:00+00:00",
        versions={"python": "3.11"},
    )


def make_records(scores: dict[Option, list[float]]) -> list[Record]:
    """Runs of seeds 0, 1, ... with these target scores."""
    return [
        make_record(option, seed, score) for option, row in scores.items() for seed, score in enumerate(row)
    ]


def against(none: list[float], joint: list[float]) -> list[Record]:
    """A trial of one option."""
    return make_records({NO_ALIGNMENT: none, JOINT: joint})

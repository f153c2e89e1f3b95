"""Simulated evidence with known truth, and small tables on disk."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from advisor.findings.evidence import TABLES, Case, Observation, OwnRecord
from advisor.findings.model import scale

MODELS = ("alpha", "beta", "gamma")
TASKS = (("pos", "token"), ("ner", "token"), ("nli", "pair"))
FROZEN = ("none", "lower-half", "upper-half")


def make_case(
    model: str, task: str, level: str, language: int, frozen: str, source: str = "study", lab: str = "lab"
) -> Case:
    """A case on one of the simulated languages, whose facts follow from its number."""
    random = np.random.default_rng(language)
    return Case(
        objective="token-contrastive",
        schedule="sequential",
        frozen_layers=frozen,
        pairs=(("dictionary", 1.0),),
        model=model,
        task=task,
        level=level,
        target=f"l{language}",
        script=("Latn", "Arab", "Cyrl")[language % 3],
        facts=(float(random.normal()), 0.0, *random.normal(size=3).tolist(), float(language % 3 > 0), 0.0),
        source_id=source,
        lab=lab if source else "",
        run=source,
    )


def own_record(**changes: object) -> OwnRecord:
    """A record of an own trial, with these fields of one's own."""
    record = OwnRecord(
        id="tr-token-contrastive",
        model="xlm-roberta-base",
        source="en",
        target="tr",
        task="pos",
        objective="token-contrastive",
        schedule="joint",
        frozen_layers="none",
        word_pairs="mutual-argmax",
        weight=0.1,
        seeds=3,
        baseline=70.0,
        gain=1.0,
        gain_sd=0.5,
        cosines={},
    )
    return replace(record, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """A simulated world: its observations and the true gain of every case, in points."""

    observations: list[Observation]
    truth: NDArray[np.float64]


def simulate(
    seed: int,
    effect: Callable[[Case, np.random.Generator], float],
    *,
    languages: int = 24,
    noise: float = 0.4,
) -> World:
    """Measure every model, task, language and option once.

    Args:
        seed: of the noise.
        effect: true gain of a case on the model's scale.
        noise: standard error of every score, in points; the options of a cell share their baseline's.
    """
    random = np.random.default_rng(seed)
    observations, truth = [], []
    for model in MODELS:
        for task, level in TASKS:
            for language in range(languages):
                baseline_error = random.normal(0, noise)
                for frozen in FROZEN:
                    case = make_case(model, task, level, language, frozen)
                    gain = float(scale.to_points(np.array(effect(case, random))))
                    truth.append(gain)
                    observations.append(
                        Observation(
                            case=case,
                            gain=gain + random.normal(0, noise) - baseline_error,
                            standard_error=noise,
                            baseline=(model, task, case.target),
                            baseline_error=noise,
                        )
                    )
    return World(observations, np.array(truth))


def copy_tables(to: Path) -> Path:
    """A copy of the package's tables that a test may spoil."""
    return Path(shutil.copytree(TABLES, to / "tables"))


def small_tables(to: Path, languages: tuple[str, ...] = ("ar", "de", "ru", "th", "tr", "zh")) -> Path:
    """Tables with two sources, few languages and no own trials, quick to fit."""
    root = copy_tables(to)
    header = (root / "records.csv").read_text(encoding="utf-8").splitlines()[0]
    (root / "records.csv").write_text(header + "\n", encoding="utf-8")
    for path in (root / "effects").iterdir():
        if path.stem not in ("nguyen2025",):
            path.unlink()
    for path in (root / "effects" / "nguyen2025.csv", root / "scores" / "bakos2025.csv"):
        keep_rows(path, lambda row: row["target"] in (*languages, "en"))
    return root


def keep_rows(path: Path, keep: Callable[[dict[str, str]], bool]) -> None:
    """Leave only some rows in a table."""
    edit_rows(path, lambda rows: [row for row in rows if keep(row)])


def edit_rows(path: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    """Rewrite a table."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(changed)

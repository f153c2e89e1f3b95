"""A loss and a task are added by a module and an entry: everything else follows from the catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from torch import Tensor

from advisor.options import Option, option_space
from advisor.recipe import recipe_files, recipe_for
from advisor.recommend import recommend
from advisor.report import Report
from advisor.sample import sample_path
from probes.budget import BUDGETS, Budget
from probes.catalogue import OBJECTIVES, TASKS, Objective, Task
from probes.objectives import LOSSES, PairView, register
from probes.request import ProbeRequest
from probes.run import run_probe
from probes.signals import Signals
from tests.conftest import Checkpoint
from tests.factories import ask

pytestmark = pytest.mark.slow

SMALL = Budget("quick", 5, 4, 40, 20, 3, 24, 64)


@dataclass(frozen=True)
class MeanDistance:
    """Moves the two languages' means onto each other."""

    name: ClassVar[str] = "mean-distance"

    def loss(self, view: PairView) -> Tensor:
        source, target = view.sentences(1)
        return (source.mean(0) - target.mean(0)).square().sum()


@pytest.fixture
def additions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(BUDGETS, "quick", SMALL)
    OBJECTIVES.add(
        Objective("mean-distance", "sentence", "Moves means onto each other.", "made up", parallel=False)
    )
    TASKS.add(Task("urgency", "sentence", "accuracy", "how soon a text wants an answer"))
    register(MeanDistance)
    yield
    LOSSES.remove("mean-distance")
    OBJECTIVES.remove("mean-distance")
    TASKS.remove("urgency")


@pytest.mark.usefixtures("additions")
def test_a_loss_and_a_task_that_are_added_work_everywhere(checkpoint: Checkpoint, tmp_path: Path) -> None:
    request = ProbeRequest(
        model=str(checkpoint("bert")),
        source="en",
        target="tr",
        task="urgency",
        train=str(sample_path("topics.en.tsv")),
        bitext=str(sample_path("bitext.en-tr.tsv")),
        target_labels=str(sample_path("topics.tr.tsv")),
        budget="quick",
        device="cpu",
    )
    signals = run_probe(request)
    assert signals.task.name == "urgency"
    assert "mean-distance" in signals.objectives
    assert Signals.model_validate_json(signals.model_dump_json()) == signals

    options = [option for option in option_space() if option.objective == "mean-distance"]
    assert len(options) == 6
    assert Option.parse("mean-distance:joint:0.1").objective == "mean-distance"
    assert "mean-distance" in Option.model_json_schema()["properties"]["objective"]["enum"]

    advice = recommend(signals)
    assert {row.option.objective for row in advice.alternatives} >= {"mean-distance"}
    report = Report(advice, signals)
    names = {path.name for path in report.write(tmp_path / "advice", recipe_files(advice, request))}
    assert {"report.html", "recipe.yaml"} <= names
    assert "mean-distance" in (tmp_path / "advice/report.html").read_text(encoding="utf-8")
    assert recipe_for(advice, request).task == "urgency"
    assert ask(model="bert", source="en", target="tr", task="urgency").alternatives


def test_what_the_catalogue_does_not_describe_is_refused() -> None:
    with pytest.raises(ValueError, match="no objective called 'mean-distance'"):
        register(MeanDistance)
    with pytest.raises(ValueError, match="mean-distance"):
        Option.model_validate({"objective": "mean-distance", "schedule": "joint"})

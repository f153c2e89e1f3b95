"""Advice that counts a race, and the recipe that goes on from where the winner was left."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice, Alternative, Reason
from advisor.decide import decide
from advisor.options import Option
from advisor.race.result import RaceResult
from advisor.race.start import without_weight
from advisor.race.store import ALONE, WINNER
from advisor.recipe import anchor_recipe, write_recipe
from advisor.report.words import took
from probes.errors import InputError
from probes.request import ProbeRequest

if TYPE_CHECKING:
    from advisor.race.running import Racer


_GOES_ON = (
    "goes on from where the race left this run (`{state}`), to the same digits as if it had never stopped:\n"
    "what the race has spent on it is not spent again. With `goes_on_from: null` it begins at the start."
)
_BEGINS = "begins at the start: the race told of this run by others that are like it."


def counting(advice: Advice, race: RaceResult | str | Path | None) -> Advice:
    """The advice once a race, or where it lies, is known: its arms have the gains that were measured here.

    The race began with what the findings expected and weighed its looks against it, so that its gains take
    the place of theirs, of arms too that it told of by running others. Options that did not race keep theirs
    and are not advised over those that did.

    Raises:
        InputError: if the race cannot be read or asked another question.
    """
    if race is None:
        return advice
    race = race if isinstance(race, RaceResult) else RaceResult.load(race)
    asked = advice.question
    if (asked.source, asked.target, asked.task) != (race.source, race.target, race.task) or (
        Path(asked.model).name != Path(race.model).name
    ):
        raise InputError(
            f"The race was of {race.model}, {race.source} to {race.target}, {race.task}, and the question is "
            f"about {asked.model}, {asked.source} to {asked.target}, {asked.task}: name the race of the same."
        )
    raced = {without_weight(arm.option): arm for arm in race.arms if arm.error is None}
    rows: dict[Option, Alternative] = {}
    for row in advice.alternatives:
        arm = raced.get(without_weight(row.option))
        if arm is None:
            rows[row.option] = row
        else:
            rows[arm.option] = Alternative(
                option=arm.option, gain=arm.gain, basis=arm.basis, direct=row.direct
            )
    decision = decide(race.expected, min_gain=advice.min_gain)
    alternatives = tuple(rows[option] for option in dict.fromkeys((*decision.order, *rows)) if option in rows)
    best = next((arm for arm in race.arms if arm.option == decision.order[0]), race.arms[0])
    asked_for = without_weight(best.option)
    before = next((row.gain for row in advice.alternatives if without_weight(row.option) == asked_for), None)
    return advice.model_copy(
        update={
            "decision": decision.decision,
            "confidence": decision.confidence,
            "worth": None,
            "summary": race.summary,
            "option": decision.option,
            "gain": best.gain,
            "evidence_only": before,
            "reasons": (_reason(race, best.option, best.gain.mean - best.expected), *advice.reasons),
            "alternatives": alternatives,
            "next_moves": (),
        }
    )


def _reason(race: RaceResult, option: Option, effect: float) -> Reason:
    arm = next(arm for arm in race.arms if arm.option == option)
    seen = "was not looked at" if arm.measured is None else f"showed {arm.measured:+.1f} points"
    return Reason(
        text=f"In a race of {took(race.minutes)} on your data {option} {seen} at its last look; its "
        f"chance of being the best is {arm.best:.0%}.",
        feature="race",
        effect=effect,
        evidence=(),
    )


def winners_recipe(racer: "Racer", result: RaceResult, request: ProbeRequest) -> dict[str, str]:
    """The files of a recipe that goes on from where the advised run was left; its state is kept beside them.

    An advised option that was not run begins at its start.
    """
    place = next((i for i, option in enumerate(racer.options) if option == result.option), ALONE)
    states = racer.state_of(place)
    recipe = anchor_recipe(racer.engine.recipe(result.option, racer.setup.seeds[0]), Path.cwd())
    own: dict[str, str] = {"output": "trained", "target_labels": racer.engine.labels}
    if states:
        racer.store.save_winner(states)
        own["goes_on_from"] = WINNER
    recipe = recipe.model_copy(update=own)
    readme = files("advisor.race").joinpath("recipe.md").read_text(encoding="utf-8")
    begins = _GOES_ON.format(state=WINNER) if states else _BEGINS
    return {
        "recipe/train.py": files("advisor.recipe").joinpath("train.py").read_text(encoding="utf-8"),
        "recipe/recipe.yaml": write_recipe(recipe, result.summary),
        "recipe/README.md": readme.format(summary=result.summary, begins=begins),
    }

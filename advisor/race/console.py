"""A race as it is shown: to whoever watches, as lines and a bar, as a table and as curves."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from advisor.console import PhaseBar
from advisor.race.store import Setup
from advisor.report.words import took
from probes.progress import Progress

if TYPE_CHECKING:
    import altair as alt

    from advisor.race.result import ArmResult, RaceResult
    from advisor.race.running import Racer


class RaceWatcher(Progress):
    """Receives the course of a race and of the phases in each step; as it is here it shows nothing."""

    def begins(self, setup: Setup, steps: int) -> None:
        """The race is set up; so many steps were taken by an earlier call."""

    def took(self, racer: "Racer") -> None:
        """A step is down."""


class ConsoleRace(PhaseBar, RaceWatcher):
    """Says what is raced, what each step showed, and what is believed then."""

    def begins(self, setup: Setup, steps: int) -> None:
        """Say which arms race, and for how long."""
        arms = "; ".join(map(str, setup.options))
        before = f", {steps} looks taken before" if steps else ""
        self._print(
            f"{len(setup.options)} arms and fine-tuning alone for {setup.minutes:g} min{before}: {arms}."
        )
        if setup.left_out:
            self._print(f"No time for: {'; '.join(map(str, setup.left_out))}.")

    def took(self, racer: "Racer") -> None:
        """Say what a step showed."""
        self._close()
        look, shown = list(racer.seen.items())[-1] if racer.seen else (None, 0.0)
        if look is None:
            return
        chances = racer.belief().best_probabilities()
        best = int(chances.argmax()) - 1
        leads = "fine-tuning alone" if best < 0 else str(racer.options[best])
        self._print(
            f"{racer.now / 60:.1f} min: {racer.options[look.arm]} after {look.rung.tune:.0%} of a run: "
            f"{shown:+.1f} points. Ahead: {leads}, P(best) {chances.max():.0%}."
        )


def race_table(result: "RaceResult") -> RenderableType:
    """The decision, every arm, and what it cost."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for place, heading in enumerate(("Option", "Expected", "Run to", "Seen", "Gain [80 %]", "P(best)")):
        table.add_column(heading, justify="right" if place else "left")
    for arm in result.arms:
        table.add_row(*_row(arm))
    alone = _share(result.reach_alone)
    table.add_row("none (fine-tune only)", "", alone, "", "0", f"{result.best_alone:.0%}")
    lines = [_kept_back(result), _cost(result), *result.notes]
    return Group(
        Text(f"{result.summary} Confidence: {result.confidence}.", style="bold"),
        Text(),
        table,
        Text(),
        *(Text(line) for line in lines if line),
    )


def _row(arm: "ArmResult") -> tuple[str, ...]:
    gain = arm.gain
    return (
        str(arm.option),
        f"{arm.expected:+.1f}",
        "out" if arm.error else _share(arm.reach),
        "" if arm.measured is None else f"{arm.measured:+.1f}",
        f"{gain.mean:+.1f} [{gain.low:+.1f} to {gain.high:+.1f}]",
        f"{arm.best:.0%}",
    )


def _share(reach: float) -> str:
    return f"{reach:.0%}" if reach else "not run"


def _kept_back(result: "RaceResult") -> str:
    check = result.kept_back
    if check.value is not None:
        interval = f" [{check.low:+.1f} to {check.high:+.1f}]" if check.low is not None else ""
        return f"On labels that had no say in the choice: {check.value:+.1f} points{interval}."
    if result.agreement is not None:
        return f"Of 20 splits of the labels, both halves chose the same option in {result.agreement:.0%}."
    return ""


def _cost(result: "RaceResult") -> str:
    return (
        f"It took {took(result.minutes)} and ended because: {result.stopped}. Whole runs of all "
        f"{len(result.arms)} arms would have taken {took(result.minutes_whole)}."
    )


def race_chart(result: "RaceResult", *, width: int = 640) -> "alt.LayerChart | None":
    """Gain over fine-tuning alone against the share of fine-tuning, a line a run; None without a look."""
    import altair as alt

    from advisor.report.charts import COLOURS, INKS

    values = [
        {
            "option": str(arm.option),
            "run": f"{arm.option} {look.seed} {look.align}",
            "tune": look.tune,
            "gain": look.gain,
            "alignment": f"{look.align:.0%}",
        }
        for arm in result.arms
        for look in arm.looks
    ]
    if not values:
        return None
    names = list(dict.fromkeys(str(value["option"]) for value in values))
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("tune:Q", title="share of fine-tuning", axis=alt.Axis(format="%")),
        y=alt.Y("gain:Q", title="gain over fine-tuning alone, points"),
        color=alt.Color(
            "option:N",
            scale=alt.Scale(domain=names, range=list(COLOURS.values())),
            legend=alt.Legend(orient="bottom", columns=1, title=None, labelLimit=0),
        ),
        detail="run:N",
        tooltip=["option:N", "alignment:N", alt.Tooltip("gain:Q", format="+.1f")],
    )
    zero = alt.Chart(alt.InlineData(values=[{"y": 0}])).mark_rule(color=INKS["ink"]).encode(y="y:Q")
    layers = [zero, base.mark_line(), base.mark_point(filled=True, size=50)]
    return alt.LayerChart(layer=layers, width=width, height=240)

"""Pictures that only the page has: the evidence, several probes in one frame, a trial."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from advisor.advice import Advice, Gain
from advisor.options import NO_ALIGNMENT, Option
from advisor.report import words
from advisor.report.charts import COLOURS, INKS
from advisor.report.charts.style import bounds, categories, finish, level, names, over, whiskers
from advisor.study import TrialResult
from probes.signals import Estimate

if TYPE_CHECKING:
    from advisor.app._compare import Probe

_MOST = 30
"""Groups shown at most, those with most effects."""
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")


def gain_strip(frame: pd.DataFrame, group: str, name: str) -> alt.LayerChart:
    """Every gain as a dot, a row for each group, with its median.

    Args:
        frame: with the columns ``gain`` and ``group``.
        group: the column to group by.
        name: what its values are, for the title.
    """
    counts = frame[group].value_counts()
    shown = frame[frame[group].isin(counts.index[:_MOST])].assign(group=lambda rows: rows[group].astype(str))
    order = list(shown.groupby("group")["gain"].median().sort_values(ascending=False).index)
    columns = ["group", "gain", "option", "model", "source_id"]
    rows = [dict(zip(columns, row, strict=True)) for row in shown[columns].itertuples(index=False)]
    base = over(rows).encode(y=names("group", order, labelLimit=170))
    layers = [
        level("x"),
        base.mark_circle(size=26, opacity=0.35, color=COLOURS["blue"]).encode(
            x=alt.X("gain:Q", title="gain over the unaligned model, points"),
            tooltip=["group:N", alt.Tooltip("gain:Q", format="+.2f"), "option:N", "model:N", "source_id:N"],
        ),
        base.mark_tick(color=COLOURS["vermillion"], thickness=3, size=16).encode(x="median(gain):Q"),
    ]
    few = f" ({_MOST} of {len(counts)})" if len(counts) > _MOST else ""
    return finish(layers, width=640, height=22 * len(order), title=f"Gain by {name}{few}")


def validation_chart(
    figures: Mapping[str, tuple[float, float, float]], title: str, axis: str, floor: float | None = None
) -> alt.LayerChart:
    """A figure of every way of choosing with its interval; that of the advice stands out.

    Args:
        figures: value, low and high by the way's name, the advice first.
        title: what the figure is.
        axis: its name with unit.
        floor: what no way of choosing can fall below, for a rule.
    """
    values = [
        {"method": name, "value": value, "low": low, "high": high, "advice": place == 0}
        for place, (name, (value, low, high)) in enumerate(figures.items())
    ]
    base = over(values).encode(
        y=names("method", labelLimit=220),
        color=alt.condition(
            "datum.advice", alt.value(COLOURS["blue"]), alt.value(INKS["muted"]), legend=None
        ),
        tooltip=["method:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("value", "low", "high"))],
    )
    x = alt.X(title=axis, axis=alt.Axis(tickCount=5))
    layers = [level("x"), *whiskers(base, x, size=70, width=3)]
    if floor is not None:
        layers.insert(0, level("x", floor, color=INKS["muted"], strokeDash=[4, 3]))
    return finish(layers, width=500, height=24 * len(values), title=title)


def compared_cosines(probes: "Sequence[Probe]") -> alt.LayerChart | None:
    """The leading cosine of every objective, a mark for each probe."""
    values = [
        _measured(cosine) | {"objective": objective, "probe": probe.name}
        for probe in probes
        for objective, cosine in probe.cosines.items()
        if cosine.resolved
    ]
    return _compared(values, probes, "cosine with the task on target text")


def compared_gains(probes: "Sequence[Probe]") -> alt.LayerChart | None:
    """The best gain of every objective, a mark for each probe."""
    values = [
        _expected(row.gain) | {"objective": row.option.objective, "probe": probe.name}
        for probe in probes
        for row in probe.best.values()
    ]
    return _compared(values, probes, "gain of the best option, points")


def _compared(
    values: Sequence[Mapping[str, object]], probes: "Sequence[Probe]", title: str
) -> alt.LayerChart | None:
    if not values:
        return None
    order = [probe.name for probe in probes]
    palette = list(COLOURS)
    styles = {name: (palette[i % len(palette)], _SHAPES[i % len(_SHAPES)]) for i, name in enumerate(order)}
    rows = len({value["objective"] for value in values})
    layers = _side_by_side(values, "objective", "probe", styles, title)
    height = (16 * len(order) + 18) * rows
    return finish(layers, width=640, height=height, title=title.capitalize())


def trial_chart(
    result: TrialResult, advice: Advice | None, labels: Mapping[Option, str]
) -> alt.LayerChart | None:
    """The gain of every option in the trial with its interval, above what was expected of it.

    Args:
        result: of the trial.
        advice: what was expected, if that is to be shown as well.
        labels: what the options are called; a line break is kept.
    """
    tried = [row for row in result.options if row.option != NO_ALIGNMENT]
    if all(row.target_gain.value is None for row in tried):
        return None
    measured = f"measured, mean over seeds ({words.percent(tried[0].target_gain.level)} interval)"
    styles = {measured: ("blue", "circle")}
    values = [
        _measured(row.target_gain, 1) | {"option": labels[row.option], "what": measured}
        for row in tried
        if row.target_gain.value is not None
    ]
    gains = {row.option: gain for row in tried if (gain := expected_gain(advice, row.option)) is not None}
    for option, gain in gains.items():
        expected = f"expected ({words.percent(gain.level)} interval)"
        styles[expected] = ("line", "diamond")
        values.append(_expected(gain) | {"option": labels[option], "what": expected})
    order = [labels[row.option] for row in tried]
    layers = _side_by_side(values, "option", "what", styles, "gain over fine-tuning alone, points", order)
    seeds = over([value | {"what": measured} for value in _by_seed(result, labels)]).encode(
        x="gain:Q",
        y=names("option", order),
        yOffset=alt.YOffset("what:N", sort=list(styles)),
        tooltip=["option:N", "seed:Q", alt.Tooltip("gain:Q", format="+.2f")],
    )
    layers.insert(-1, seeds.mark_tick(thickness=1.5, size=12, color=COLOURS["blue"], opacity=0.8))
    return finish(layers, width=540, height=(30 * len(styles) + 16) * len(order))


def _side_by_side(
    values: Sequence[Mapping[str, object]],
    row: str,
    what: str,
    styles: Mapping[str, tuple[str, str]],
    title: str,
    order: Sequence[str] | None = None,
) -> list[alt.Chart]:
    """Intervals of several kinds beside each other in every row."""
    colour, shape = categories(what, styles, legend=True, columns=1)
    base = over(values).encode(
        y=names(row, order, labelFontSize=12),
        yOffset=alt.YOffset(f"{what}:N", sort=list(styles)),
        color=colour,
        tooltip=[f"{row}:N", f"{what}:N", alt.Tooltip("shown:N", title="value (interval)")],
    )
    x = alt.X(title=title, axis=alt.Axis(tickCount=6))
    return [level("x"), *whiskers(base, x, shape=shape, size=70, width=2)]


def _measured(estimate: Estimate, decimals: int | None = None) -> dict[str, object]:
    return {"shown": words.estimated(estimate, decimals), **bounds(estimate)}


def _expected(gain: Gain) -> dict[str, object]:
    return {"shown": expected_words(gain), "value": gain.mean, "low": gain.low, "high": gain.high}


def expected_words(gain: Gain) -> str:
    """A gain with its interval."""
    return f"{words.signed(gain.mean)} ({words.interval(gain)})"


def expected_gain(advice: Advice | None, option: Option) -> Gain | None:
    """What ``advice`` expects of the option, whatever the weight and the source of word pairs."""

    def kind(option: Option) -> tuple[str | None, ...]:
        return option.objective, option.schedule, option.frozen_layers

    rows = advice.alternatives if advice else ()
    return next((row.gain for row in rows if kind(row.option) == kind(option)), None)


def _by_seed(result: TrialResult, labels: Mapping[Option, str]) -> Iterator[dict[str, object]]:
    """The gain of every run that has one of ``none`` with the same seed beside it."""
    alone = {run.seed: run.target for run in result.runs if run.option == NO_ALIGNMENT}
    for run in result.runs:
        baseline = alone.get(run.seed)
        if run.option != NO_ALIGNMENT and run.target is not None and baseline is not None:
            yield {"option": labels[run.option], "seed": run.seed, "gain": run.target - baseline}

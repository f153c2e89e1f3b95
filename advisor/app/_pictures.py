"""Pictures that only the page has: the evidence, several probes in one frame, a trial."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from advisor.advice import Advice
from advisor.app._trial_files import CurveRow, expected_gain
from advisor.options import NO_ALIGNMENT, Option
from advisor.report import words
from advisor.report.charts import COLOURS, INKS
from advisor.report.charts.style import bounds, categories, finish, over
from advisor.study import OptionResult, TrialResult

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
    shown = frame[frame[group].isin(counts.index[:_MOST])]
    order = list(shown.groupby(group)["gain"].median().sort_values(ascending=False).index)
    rows = [
        {"group": str(label), "gain": gain, "option": option, "model": model, "source": source}
        for label, gain, option, model, source in zip(
            shown[group], shown["gain"], shown["option"], shown["model"], shown["source_id"], strict=True
        )
    ]
    base = over(rows).encode(
        y=alt.Y(
            "group:N",
            sort=[str(label) for label in order],
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=170, labelPadding=8),
        )
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_circle(size=26, opacity=0.35, color=COLOURS["blue"]).encode(
            x=alt.X("gain:Q", title="gain over the unaligned model, points"),
            tooltip=["group:N", alt.Tooltip("gain:Q", format="+.2f"), "option:N", "model:N", "source:N"],
        ),
        base.mark_tick(color=COLOURS["vermillion"], thickness=3, size=16).encode(x="median(gain):Q"),
    ]
    few = f" ({_MOST} of {len(counts)})" if len(counts) > _MOST else ""
    return finish(layers, width=640, height=22 * len(order), title=alt.Title(f"Gain by {name}{few}"))


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
        y=alt.Y(
            "method:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=220, labelPadding=10),
        ),
        color=alt.condition(
            "datum.advice", alt.value(COLOURS["blue"]), alt.value(INKS["muted"]), legend=None
        ),
        tooltip=["method:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("value", "low", "high"))],
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.7).encode(
            x=alt.X("low:Q", title=axis, axis=alt.Axis(tickCount=5)), x2="high:Q"
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q"),
    ]
    if floor is not None:
        rule = over([{"x": floor}]).mark_rule(color=INKS["muted"], strokeDash=[4, 3])
        layers.insert(0, rule.encode(x="x:Q"))
    return finish(layers, width=500, height=24 * len(values), title=alt.Title(title))


def compared_cosines(probes: "Sequence[Probe]") -> alt.LayerChart | None:
    """The leading cosine of every objective, a mark for each probe."""
    values = [
        {"objective": objective, "probe": probe.name, "shown": words.estimated(cosine)} | bounds(cosine)
        for probe in probes
        for objective, cosine in probe.cosines.items()
        if cosine.resolved
    ]
    return _compared(values, probes, "cosine with the task on target text")


def compared_gains(probes: "Sequence[Probe]") -> alt.LayerChart | None:
    """The best gain of every objective, a mark for each probe."""
    values = [
        {
            "objective": row.option.objective,
            "probe": probe.name,
            "shown": f"{words.signed(row.gain.mean)} ({words.interval(row.gain)}), {row.option}",
            "value": row.gain.mean,
            "low": row.gain.low,
            "high": row.gain.high,
        }
        for probe in probes
        for row in probe.best.values()
    ]
    return _compared(values, probes, "gain of the best option, points")


def _compared(
    values: Sequence[Mapping[str, object]], probes: "Sequence[Probe]", title: str
) -> alt.LayerChart | None:
    if not values:
        return None
    names = [probe.name for probe in probes]
    palette = list(COLOURS)
    styles = {name: (palette[i % len(palette)], _SHAPES[i % len(_SHAPES)]) for i, name in enumerate(names)}
    colour, shape = categories("probe", styles, legend=True, columns=1)
    rows = len(dict.fromkeys(str(value["objective"]) for value in values))
    base = over(values).encode(
        y=alt.Y(
            "objective:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INKS["ink"], labelLimit=170, labelPadding=8),
        ),
        yOffset=alt.YOffset("probe:N", sort=names),
        color=colour,
        tooltip=["probe:N", "objective:N", alt.Tooltip("shown:N", title="value (interval)")],
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=alt.X("low:Q", title=title, axis=alt.Axis(tickCount=5)), x2="high:Q"
        ),
        base.mark_point(filled=True, opacity=1, size=60).encode(x="value:Q", shape=shape),
    ]
    return finish(
        layers, width=640, height=(16 * len(names) + 18) * rows, title=alt.Title(title.capitalize())
    )


_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3])
_LOSSES = {"task": "Task loss while fine-tuning", "alignment": "Alignment loss"}


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
    values, styles = _measured_and_expected(tried, advice, labels)
    if not values:
        return None
    colour, shape = categories("what", styles, legend=True, columns=1)
    order = [labels[row.option] for row in tried]
    y = alt.Y(
        "option:N",
        sort=order,
        title=None,
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=0,
            labelColor=INKS["ink"],
            labelFontSize=12,
            labelLineHeight=14,
            ticks=False,
            domain=False,
        ),
    )
    offset = alt.YOffset("what:N", sort=list(styles))
    base = over(values).encode(
        y=y,
        yOffset=offset,
        color=colour,
        tooltip=["option:N", "what:N", alt.Tooltip("shown:N", title="gain, points")],
    )
    seeds = over([value | {"what": next(iter(styles))} for value in _by_seed(result, labels)]).mark_tick(
        thickness=1.5, size=12, color=COLOURS["blue"], opacity=0.8
    )
    layers = [
        over([{"x": 0}]).mark_rule(color=INKS["ink"], strokeWidth=1).encode(x="x:Q"),
        base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.7).encode(
            x=alt.X("low:Q", title="gain over fine-tuning alone, points", axis=alt.Axis(tickCount=6)),
            x2="high:Q",
        ),
        seeds.encode(
            x="gain:Q",
            y=y,
            yOffset=offset,
            tooltip=["option:N", "seed:Q", alt.Tooltip("gain:Q", format="+.2f")],
        ),
        base.mark_point(filled=True, size=80, opacity=1).encode(x="value:Q", shape=shape),
    ]
    height = (30 * len(styles) + 16) * len(order)
    return finish(layers, width=540, height=height)


def _measured_and_expected(
    tried: Sequence[OptionResult], advice: Advice | None, labels: Mapping[Option, str]
) -> tuple[list[dict[str, object]], dict[str, tuple[str, str]]]:
    """Rows of both kinds, and the colour and shape of either."""
    level = words.percent(tried[0].target_gain.level) if tried else ""
    measured = f"measured, mean over seeds ({level} interval)"
    values: list[dict[str, object]] = []
    for row in tried:
        gain = row.target_gain
        if gain.value is not None:
            values.append(
                {
                    "option": labels[row.option],
                    "what": measured,
                    "shown": words.estimated(gain, 1),
                    **bounds(gain),
                }
            )
    styles = {measured: ("blue", "circle")}
    if advice is not None:
        expectations = [(row.option, expected_gain(advice, row.option)) for row in tried]
        expected_gains = [(option, gain) for option, gain in expectations if gain is not None]
        if expected_gains:
            expected = f"expected ({words.percent(expected_gains[0][1].level)} interval)"
            styles[expected] = ("line", "diamond")
            values += [
                {
                    "option": labels[option],
                    "what": expected,
                    "shown": f"{words.signed(gain.mean)} ({words.interval(gain)})",
                    "value": gain.mean,
                    "low": gain.low,
                    "high": gain.high,
                }
                for option, gain in expected_gains
            ]
    return values, styles


def curve_chart(rows: Sequence[CurveRow], loss: str, labels: Mapping[Option, str]) -> alt.LayerChart | None:
    """A loss by optimiser step, a line for each option and phase.

    Args:
        rows: of all losses.
        loss: ``task`` or ``alignment``.
        labels: what the options are called.
    """
    shown = [row for row in rows if row.loss == loss]
    if not shown:
        return None
    # An option keeps its colour and dashes in both pictures.
    names = [labels[option].replace("\n", ", ") for option in dict.fromkeys(row.option for row in rows)]
    palette = [*COLOURS.values()]
    present = [name for name in names if name in {labels[row.option].replace("\n", ", ") for row in shown}]
    places = [names.index(name) for name in present]
    below = alt.Legend(orient="bottom", title=None, columns=1, labelLimit=0, symbolSize=260)
    values = [
        {
            "option": labels[row.option].replace("\n", ", "),
            "phase": row.phase,
            "step": round(row.step, 1),
            "loss": row.value,
        }
        for row in shown
    ]
    lines = (
        over(values)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="optimiser step of the phase", axis=alt.Axis(tickCount=6)),
            y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
            detail="phase:N",
            color=alt.Color(
                "option:N",
                scale=alt.Scale(domain=present, range=[palette[i % len(palette)] for i in places]),
                legend=below,
            ),
            strokeDash=alt.StrokeDash(
                "option:N",
                scale=alt.Scale(domain=present, range=[_DASHES[i % len(_DASHES)] for i in places]),
                legend=below,
            ),
            tooltip=["option:N", "phase:N", "step:Q", alt.Tooltip("loss:Q", format=".3f")],
        )
    )
    return finish([lines], width=500, height=220, title=alt.Title(_LOSSES[loss]))


def _by_seed(result: TrialResult, labels: Mapping[Option, str]) -> list[dict[str, object]]:
    """The gain of every run that has one of ``none`` with the same seed beside it."""
    alone = {run.seed: run.target for run in result.runs if run.option == NO_ALIGNMENT}
    return [
        {"option": labels[run.option], "seed": run.seed, "gain": run.target - baseline}
        for run in result.runs
        if run.option != NO_ALIGNMENT
        and run.target is not None
        and (baseline := alone.get(run.seed)) is not None
    ]

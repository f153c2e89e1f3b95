"""Pictures of a trial: gains with what was expected of them, and learning curves."""

from collections.abc import Mapping, Sequence

import altair as alt

from advisor.advice import Advice
from advisor.app._trial_files import CurveRow, expected_gain
from advisor.options import NO_ALIGNMENT, Option
from advisor.report import words
from advisor.report.charts import COLOURS, INKS
from advisor.report.charts.style import bounds, categories, finish, over
from advisor.study import TrialResult

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
        known = [(option, gain) for option, gain in expectations if gain is not None]
        if known:
            expected = f"expected ({words.percent(known[0][1].level)} interval)"
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
                for option, gain in known
            ]
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
    seeds = over([value | {"what": measured} for value in _by_seed(result, labels)]).mark_tick(
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

"""Pictures that only the page has: the evidence, and a trial."""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import pandas as pd

from advisor.advice import Advice, Gain
from advisor.options import NO_ALIGNMENT, Option
from advisor.report import words
from advisor.report.charts import COLOURS
from advisor.report.charts.style import bounds, categories, finish, level, names, over, whiskers
from advisor.study import TrialResult
from probes.signals import Estimate

_MOST = 30
"""Groups shown at most, those with most effects."""


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

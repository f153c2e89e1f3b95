"""Explore: the evidence itself, its sources, and the findings card, which says how well it predicts."""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from advisor import findings
from advisor.app import _question, _show
from advisor.findings import Tables, load_tables
from advisor.findings.evidence import Effect
from advisor.report.charts import COLOURS
from advisor.report.charts.style import finish, level, names, over

_CARD = Path(findings.__file__).with_name("CARD.md")
_FILTERS = {
    "model": "Model",
    "task": "Task",
    "target": "Target language",
    "objective": "Objective",
    "source_id": "Published in",
}
_FIRST = ("target", "model", "task", "option", "gain")
"""Columns that the table starts with."""
_MOST_GROUPS = 30
"""Groups of a picture, those with most effects."""
_GROUPS = {"target": "language", "model": "model", "task": "task", "option": "option", "source_id": "paper"}


def render() -> None:
    """Draw the view."""
    tables = load_tables()
    parts: dict[str, Callable[[Tables], None]] = {
        "Effects": _effects,
        "Sources": _sources,
        "Findings card": _card,
    }
    shown = st.segmented_control(
        "Part", list(parts), key="explore", default="Effects", required=True, label_visibility="collapsed"
    )
    parts[shown](tables)


_COLUMNS = {
    **{name: name for name in ("source_id", "model", "task", "benchmark", "source", "target", "objective")},
    **{"option": "option", "word_pairs": "word pairs", "baseline": "baseline", "gain": "gain"},
    **{"gain_sd": "sd over seeds", "n_seeds": "seeds", "lab": "lab", "stratum": "stratum"},
    **{"pairs_per_language": "pairs a language", "align_steps": "alignment steps"},
    **{"train_steps": "fine-tuning steps", "kept_apart": "kept apart", "locator": "where"},
}
"""Of an effect, and what each is called in the table."""


@st.cache_data(show_spinner=False)
def _frame(_tables: Tables, sha256: str) -> pd.DataFrame:
    """Every effect as a row."""

    def option(effect: Effect) -> str:
        frozen = f"{effect.frozen_layers} frozen" if effect.frozen_layers != "none" else ""
        return ", ".join(filter(None, (effect.objective, effect.schedule, frozen)))

    rows = [
        asdict(effect) | {"option": option(effect), "kept_apart": effect.kept_apart or ""}
        for effect in _tables.effects
    ]
    return pd.DataFrame(rows)[list(_COLUMNS)].rename(columns=_COLUMNS)


def _effects(tables: Tables) -> None:
    frame = _frame(tables, tables.sha256)
    columns = st.columns(len(_FILTERS))
    for column, (name, label) in zip(columns, _FILTERS.items(), strict=True):
        chosen = column.multiselect(
            label,
            sorted(frame[name].unique()),
            key=f"filter-{name}",
            placeholder="all",
            persist_state="session",
        )
        if chosen:
            frame = frame[frame[name].isin(chosen)]
    left, right = st.columns([2, 1])
    group = left.segmented_control(
        "Gain by",
        list(_GROUPS),
        default="target",
        required=True,
        format_func=_GROUPS.__getitem__,
        key="group",
    )
    everything = right.toggle(
        "Also effects kept apart",
        key="kept-apart",
        help="Averages, other scales of training, other baselines: listed, but not pooled by the findings.",
    )
    if not everything:
        frame = frame[frame["kept apart"] == ""]
    st.caption(f"{len(frame):,} effects of {frame['source_id'].nunique()} sources.")
    if frame.empty:
        st.info("No effect matches: take a filter away.")
        return
    picture, words = st.columns([2, 1], gap="large")
    with picture:
        _show.chart(
            _gain_strip(_named(frame) if group == "target" else frame, group, _GROUPS[group]),
            f"Gain of every effect, by {_GROUPS[group]}; a tick marks each median.",
        )
    with words:
        _show.explain(
            "Each dot is an aligned model against its unaligned baseline on one language, as a source "
            "reports it. The tick is the median.",
            "Look at the spread before the median: the same option gains on one language and "
            "loses on another. "
            "Filter to what is like your case.",
            "What aligning would bring you. Dots of one source share its choices; the answer in "
            "Ask weighs that, "
            "a median does not.",
        )
    _effects_table(frame)


def _gain_strip(frame: pd.DataFrame, group: str, name: str) -> alt.LayerChart:
    """Every gain as a dot, a row for each group, with its median; ``name`` says what a group is."""
    counts = frame[group].value_counts()
    shown = frame[frame[group].isin(counts.index[:_MOST_GROUPS])].assign(
        group=lambda rows: rows[group].astype(str)
    )
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
    few = f" ({_MOST_GROUPS} of {len(counts)})" if len(counts) > _MOST_GROUPS else ""
    return finish(layers, width=640, height=22 * len(order), title=f"Gain by {name}{few}")


def _effects_table(frame: pd.DataFrame) -> None:
    st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        height=420,
        column_order=[*_FIRST, *(str(name) for name in frame if name not in (*_FIRST, "objective"))],
        column_config={
            "gain": st.column_config.NumberColumn(format="%+.2f", help="Points, aligned minus unaligned."),
            "source_id": "published in",
            "source": "from",
            "target": "to",
            "baseline": st.column_config.NumberColumn(format="%.1f", help="Points, unaligned."),
            "sd over seeds": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption("Sort by a column's head; the table can be searched, enlarged and downloaded.")


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(target=frame["target"].map(_question.called))


def _sources(tables: Tables) -> None:
    st.markdown("Sources of one lab share authors, code or runs: they are not independent opinions.")
    st.dataframe(
        [
            {
                "id": source.id,
                "citation": source.citation,
                "link": source.url if (source.url or "").startswith("https://") else None,
                "lab": tables.labs[source.lab].people,
                "effects": sum(effect.source_id == source.id for effect in tables.effects),
            }
            for source in tables.sources.values()
        ],
        hide_index=True,
        width="stretch",
        height="content",
        column_config={"link": st.column_config.LinkColumn()},
    )


def _card(_tables: Tables) -> None:
    text = _CARD.read_text(encoding="utf-8")
    for part in re.split(r"(!\[[^\]]*\]\([^)]*\))", text):
        if picture := re.fullmatch(r"!\[([^\]]*)\]\(([^)]*)\)", part):
            st.image(_CARD.with_name(picture[2]).read_text(encoding="utf-8"), caption=picture[1])
        else:
            st.markdown(part)

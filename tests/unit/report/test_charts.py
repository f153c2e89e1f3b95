from typing import Any

import altair as alt
import pytest

from advisor.options import NO_ALIGNMENT
from advisor.report import charts
from probes.signals import Signals
from tests.factories import make_advice, make_open, make_signals, unresolved


@pytest.fixture(scope="module")
def signals() -> Signals:
    return make_signals()


def drawn(chart: alt.LayerChart | None) -> dict[str, Any]:
    """The chart's specification, checked against the schema of Vega-Lite."""
    assert chart is not None
    spec: dict[str, Any] = chart.to_dict()
    return spec


def rows_with(spec: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """The largest set of data rows that have ``field``."""
    parts = [part.get("data", {}) for part in (spec, *spec["layer"])]
    sets = [*spec.get("datasets", {}).values(), *(part.get("values", []) for part in parts)]
    return max((rows for rows in sets if rows and field in rows[0]), key=len)


def test_every_chart_is_valid_and_has_titled_axes(signals: Signals) -> None:
    for chart in (
        charts.gain_chart(make_advice()),
        charts.cosine_chart(signals, "token-contrastive", "target-labels"),
        charts.magnitude_chart(signals, "source"),
        charts.lookahead_chart(signals, "target-projected"),
        charts.similarity_chart(signals),
        charts.similarity_chart(signals, "word"),
        charts.retrieval_chart(signals),
        charts.cka_chart(signals),
    ):
        spec = drawn(chart)
        encodings = [layer["encoding"] for layer in spec["layer"]]
        assert any(encoding.get("x", {}).get("title") for encoding in encodings)
        y = [encoding["y"] for encoding in encodings if "y" in encoding]
        # Names of options and objectives explain themselves.
        assert any(axis.get("title") or axis.get("type") == "nominal" for axis in y)


def test_copies_of_a_chart_share_its_rows() -> None:
    """Altair copies a chart for every call on it: with all rows, that took a tenth of a report's time."""
    chart = charts.style.over([{"at": 1.0}])
    assert chart.mark_rule().encode(x="at:Q").copy().data is chart.data


def test_gains_are_sorted_and_none_is_the_zero_line() -> None:
    advice = make_advice()
    rows = rows_with(drawn(charts.gain_chart(advice, limit=100)), "chance")
    assert [row["value"] for row in rows] == sorted((row["value"] for row in rows), reverse=True)
    assert len(rows) == len(advice.alternatives) - 1
    assert not any(row["option"].startswith("none") for row in rows)


def test_the_advised_option_is_shown_even_beyond_the_limit() -> None:
    last = next(row for row in reversed(make_advice().alternatives) if row.option != NO_ALIGNMENT)
    rows = rows_with(drawn(charts.gain_chart(make_advice(option=last.option), limit=3)), "chance")
    assert [row["advised"] for row in rows] == [False, False, False, True]


def test_no_option_is_marked_as_advised_when_nothing_is() -> None:
    assert not any(row["advised"] for row in rows_with(drawn(charts.gain_chart(make_open())), "chance"))


def test_nothing_to_draw_gives_none(signals: Signals) -> None:
    none = tuple(row for row in make_advice().alternatives if row.option == NO_ALIGNMENT)
    empty = make_signals(cosines=(), lookahead=(), distances=())
    assert charts.gain_chart(make_advice(alternatives=none)) is None
    assert charts.cosine_chart(signals, "tlm", "source") is None
    assert charts.magnitude_chart(empty, "source") is None
    assert charts.lookahead_chart(empty, "source") is None
    assert charts.cka_chart(empty) is None


def test_unresolved_blocks_are_marked_and_not_drawn_as_zero(signals: Signals) -> None:
    rows = rows_with(drawn(charts.cosine_chart(signals, "token-l2", "source")), "foot")
    lost = [row for row in rows if row["value"] is None]
    assert [(row["block"], row["point"]) for row in lost] == [
        ("emb", "as given"),
        ("0", "as given"),
        ("1", "as given"),
    ]


def test_a_chart_of_nothing_but_unresolved_cosines_still_draws(signals: Signals) -> None:
    lost = tuple(
        row.model_copy(
            update={"cosine": unresolved(), "magnitude_ratio": unresolved(0, 4), "null_cosine": None}
        )
        for row in signals.cosines
    )
    all_lost = make_signals(cosines=lost)
    rows = rows_with(drawn(charts.cosine_chart(all_lost, "token-l2", "source")), "foot")
    assert all(row["value"] is None for row in rows)
    assert charts.magnitude_chart(all_lost, "source") is None


def test_cosine_panels_share_their_scale(signals: Signals) -> None:
    def domain(objective: str) -> Any:
        spec = drawn(charts.cosine_chart(signals, objective, "source"))
        return next(
            layer["encoding"]["y"]["scale"]["domain"]
            for layer in spec["layer"]
            if "scale" in layer["encoding"].get("y", {})
        )

    assert domain("token-contrastive") == domain("sentence-contrastive")


def test_ceilings_far_above_the_cosines_are_not_drawn_but_still_told(signals: Signals) -> None:
    small = tuple(
        row.model_copy(
            update={
                "cosine": row.cosine.model_copy(update={"value": 0.01, "low": 0.0, "high": 0.02}),
                "null_cosine": None,
            }
        )
        for row in signals.cosines
    )
    spec = drawn(charts.cosine_chart(make_signals(cosines=small), "token-l2", "source"))
    assert all(row["ceiling"] is None for row in rows_with(spec, "ceiling"))
    assert "its ceiling 0." in spec["title"]["subtitle"]
    near = drawn(charts.cosine_chart(signals, "token-l2", "source"))
    assert all(0 < row["ceiling"] <= 1 for row in rows_with(near, "ceiling"))


def test_a_bound_below_zero_fits_the_log_scale(signals: Signals) -> None:
    wide = tuple(
        row.model_copy(update={"magnitude_ratio": row.magnitude_ratio.model_copy(update={"low": -3.0})})
        for row in signals.cosines
    )
    rows = rows_with(drawn(charts.magnitude_chart(make_signals(cosines=wide), "source")), "objective")
    assert all(row["low"] > 0 for row in rows)


def test_objectives_differ_in_colour_and_in_shape() -> None:
    styles = [
        charts.objective_style(name)
        for name in ("token-contrastive", "token-l2", "sentence-contrastive", "tlm", "mlm")
    ]
    assert len({colour for colour, _ in styles}) == len({shape for _, shape in styles}) == len(styles)
    assert {colour for colour, _ in styles} <= charts.COLOURS.keys()


def test_a_legend_can_be_left_to_the_page(signals: Signals) -> None:
    shown = str(drawn(charts.retrieval_chart(signals)))
    hidden = str(drawn(charts.retrieval_chart(signals, legend=False)))
    assert "'orient': 'bottom'" in shown
    assert "'orient': 'bottom'" not in hidden

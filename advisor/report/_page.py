"""The report as one self-contained HTML page, and the short form that notebooks show.

The page carries no script and asks the network for nothing; a content security policy in it says so to
the browser. Every string from outside is escaped by the template engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advisor.advice import Advice
from advisor.report import _words
from advisor.report._svg import Drawing
from probes.signals import DistanceRow, Estimate, Signals

__all__ = ["advice_html", "render_page"]

_WIDE, _NARROW = 1060, 330


def render_page(advice: Advice, signals: Signals | None) -> str:
    """The whole report.

    Args:
        advice: what is recommended and why.
        signals: what was measured, or None where the advice rests on evidence alone.
    """
    draw = Drawing()
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            **_decision(advice),
            signals=signals,
            gain_wide=_gain_figure(draw, advice, _WIDE),
            gain_narrow=_gain_figure(draw, advice, _NARROW),
            gradients=signals.task_gradients if signals else (),
            depths=tuple(_depths(signals)) if signals else (),
            matrix=tuple(_matrix(signals)) if signals else (),
            **(_figures(draw, signals) if signals else {}),
        )
    )


def advice_html(advice: Advice) -> str:
    """The short form of advice for a notebook: decision, gain, reasons, warnings, best options."""
    return _environment().get_template("notebook.html.jinja").render(**_decision(advice))


@dataclass(frozen=True, slots=True)
class _Cell:
    """What one objective does to one task gradient: all layers together, then the layers counted."""

    column: str
    total: Estimate | None
    agree: int
    conflict: int
    unclear: int


def _decision(advice: Advice) -> dict[str, Any]:
    rows = advice.alternatives
    labels = [", ".join(filter(None, parts)) for parts in _words.option_labels([row.option for row in rows])]
    sources = {row.source_id: row for row in advice.support.nearest}
    best = advice.spoken_of
    aligns = advice.aligns and advice.gain is not None
    return {
        "advice": advice,
        # Where nothing is advised, what the best option would bring says more than a zero.
        "gain": advice.gain if aligns else best.gain if best else None,
        "gain_is_advised": aligns,
        "best": best,
        "options": list(zip(rows, labels, strict=True)),
        "sources": sources,
    }


def _gain_figure(draw: Drawing, advice: Advice, width: int) -> Markup | None:
    from advisor.report import charts  # altair takes half a second to import

    best = advice.spoken_of
    if best is None:
        return None
    label = (
        f"Expected gain of each option with its interval. Highest: {best.option}, "
        f"{_words.signed(best.gain.mean)} points, {_words.interval(best.gain)}. All are in the table below."
    )
    return draw(charts.gain_chart(advice, width=width), label)


def _matrix(signals: Signals) -> Iterator[tuple[str, tuple[_Cell, ...]]]:
    gradients = signals.task_gradients
    for objective in signals.objectives:
        cells = []
        for gradient in gradients:
            signs = [
                row.cosine.sign
                for row in signals.cosines
                if (row.objective, row.task_gradient, row.point) == (objective, gradient, "theta_warm")
                and row.block.startswith("layer.")
            ]
            cells.append(
                _Cell(
                    column=_words.TASK_GRADIENT_WORDS[gradient],
                    total=signals.cosine(objective, gradient),
                    agree=signs.count(1),
                    conflict=signs.count(-1),
                    unclear=signs.count(0),
                )
            )
        yield objective, tuple(cells)


def _depths(signals: Signals) -> Iterator[tuple[str, DistanceRow, DistanceRow]]:
    """The telling distances where they are highest and at the last hidden state."""
    for name, unit, measure in (
        ("strict retrieval", "sentence", "retrieval-strict"),
        ("cosine gap, sentences", "sentence", "cosine-gap"),
        ("cosine gap, words", "word", "cosine-gap"),
        ("CKA", "sentence", "cka"),
    ):
        values = {
            row.value.value: row
            for row in signals.distances
            if (row.unit, row.measure) == (unit, measure) and row.value.value is not None
        }
        if values:
            yield name, values[max(values)], max(values.values(), key=lambda row: row.layer)


def _figures(draw: Drawing, signals: Signals) -> dict[str, Any]:
    """Every chart of the measured sections, drawn, and their keys; panels without data are left out."""
    from advisor.report import charts  # altair takes half a second to import

    gradients = signals.task_gradients
    cosines = [
        draw(
            charts.cosine_chart(signals, objective, gradient, legend=False),
            f"Noise-corrected cosine of {objective} with the task gradient on "
            f"{_words.TASK_GRADIENT_WORDS[gradient]}, by layer. All layers after warm-up: "
            f"{_words.estimated(signals.cosine(objective, gradient))}.",
        )
        for objective in signals.objectives
        for gradient in gradients
    ]
    magnitudes = [
        draw(
            charts.magnitude_chart(signals, gradient, legend=False),
            "Gradient norm of each objective over the task's on "
            f"{_words.TASK_GRADIENT_WORDS[gradient]}, by layer.",
        )
        for gradient in gradients
    ]
    lookahead = [
        draw(
            charts.lookahead_chart(signals, gradient, legend=False),
            f"Fall of the task loss on {_words.TASK_GRADIENT_WORDS[gradient]} after one step on each "
            "objective.",
        )
        for gradient in gradients
    ]
    distances = [
        draw(charts.similarity_chart(signals), "Cosine of translations and of random sentences, by layer."),
        draw(charts.similarity_chart(signals, "word"), "Cosine of aligned and of random words, by layer."),
        draw(charts.retrieval_chart(signals), "Share of translations retrieved, by layer."),
        draw(charts.cka_chart(signals), "Debiased linear CKA of the two languages, by layer."),
    ]
    styles = [(objective, *charts.objective_style(objective)) for objective in signals.objectives]
    taken = {(row.point, row.scaling) for row in signals.lookahead}
    keys = {
        "objective_key": [(shape, colour, objective) for objective, colour, shape in styles],
        "lookahead_key": [
            (shape, colour, name)
            for kind, (name, colour, shape) in charts.LOOKAHEAD_STYLES.items()
            if kind in taken
        ],
    }
    panels = {"cosines": cosines, "magnitudes": magnitudes, "lookahead": lookahead, "distances": distances}
    return keys | {name: [panel for panel in drawn if panel is not None] for name, drawn in panels.items()}


def _finalize(value: Any) -> Any:
    """Clean strings from outside; what the templates themselves have marked as safe passes."""
    return _words.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _web_address(url: str | None) -> str | None:
    """``url`` if a browser may be sent there: a citation must not smuggle in another scheme."""
    return url if url is not None and url.startswith(("https://", "http://")) else None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "block": _words.block_label,
        "count": _words.count,
        "decision_title": _words.decision_title,
        "duration": _words.duration,
        "estimated": _words.estimated,
        "interval": _words.interval,
        "number": _words.number,
        "percent": _words.percent,
        "share": _words.share,
        "signed": _words.signed,
        "tone": _words.tone,
        "verdict": _words.verdict,
        "web_address": _web_address,
    }
    environment.globals |= {
        "POINT_WORDS": _words.POINT_WORDS,
        "TASK_GRADIENT_WORDS": _words.TASK_GRADIENT_WORDS,
        "is_advised": _words.is_advised,
    }
    return environment

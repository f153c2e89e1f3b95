"""The report as one self-contained HTML page, and the same as a part of the app's page or a notebook.

Neither carries a script or asks the network for anything; a content security policy in the page says so to
the browser. Every string from outside is escaped by the template engine.
"""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advisor.advice import Advice
from advisor.report import _details, words
from advisor.report._card import card_of
from advisor.report._svg import Drawing
from probes.catalogue import METRICS
from probes.signals import Signals

_WIDE, _NARROW, _PANEL = 990, 330, 330
_ROWS = 8
"""Rows of options shown; the picture has more."""


def render_page(advice: Advice, signals: Signals | None) -> str:
    """The whole report; without signals the advice rests on evidence alone."""
    context = _answer(advice, signals) | _body(advice, signals, Drawing())
    return render("report.html.jinja", whole=True, **context)


def render_fragment(advice: Advice, signals: Signals | None, *, whole: bool) -> str:
    """The report as a part of another page; ``whole`` has pictures, evidence and details, too."""
    context = _answer(advice, signals)
    if whole:  # as images: Streamlit lets no other SVG through
        context |= _body(advice, signals, Drawing(as_images=True))
    return render("fragment.html.jinja", whole=whole, **context)


def render(template: str, **context: Any) -> str:
    """One of the templates, with all that goes into it escaped but what is marked as safe."""
    return _environment().get_template(template).render(**context)


def _answer(advice: Advice, signals: Signals | None) -> dict[str, Any]:
    return {"advice": advice, "card": card_of(advice, signals), "most": _ROWS}


def _body(advice: Advice, signals: Signals | None, draw: Drawing) -> dict[str, Any]:
    from altair.utils.schemapi import debug_mode  # half a second to import

    with debug_mode(False):  # the builders are tested against the schema; checking again costs a sixth
        pictures = _pictures(draw, advice, signals) | (_measured_pictures(draw, signals) if signals else {})
    return {
        "signals": signals,
        "sources": {row.source_id: row for row in advice.support.nearest},
        **_details.answer_tables(advice),
        **pictures,
        **(_details.measured_tables(signals) if signals else {}),
    }


def _pictures(draw: Drawing, advice: Advice, signals: Signals | None) -> dict[str, Markup | None]:
    from advisor.report import charts  # altair takes half a second to import

    best = advice.spoken_of
    if best is None:
        return dict.fromkeys(("gain_wide", "gain_narrow", "cost", "place", "heat"))
    highest = f"{best.option}, {words.signed(best.gain.mean)} points, {words.interval(best.gain)}"
    gains = f"Expected gain of each option with its interval. First: {highest}. All are in the table above."
    nearest = len(advice.support.nearest)
    return {
        "gain_wide": draw(charts.gain_chart(advice, width=_WIDE), gains),
        "gain_narrow": draw(charts.gain_chart(advice, width=_NARROW, limit=6), gains),
        "cost": draw(
            charts.cost_chart(advice, width=_PANEL),
            f"Expected gain of each option against what its training costs. First: {highest}.",
        ),
        "place": draw(
            charts.place_chart(advice, width=_PANEL),
            f"The expected gain, {words.interval(best.gain)} points, beside the {nearest} nearest effects "
            "that were measured, by their distance from this question.",
        ),
        "heat": draw(charts.heat_chart(signals, width=_PANEL), _heat_words(signals)) if signals else None,
    }


def _heat_words(signals: Signals) -> str:
    parts = [
        f"{objective} {words.estimated(signals.cosine(objective, signals.task_gradients[0]))}"
        for objective in signals.objectives
    ]
    return "Noise-corrected cosine by layer and loss; over all layers: " + ", ".join(parts) + "."


def _measured_pictures(draw: Drawing, signals: Signals) -> dict[str, Any]:
    """Every chart of the measured sections, drawn, and their keys; panels without data are left out."""
    from advisor.report import charts  # altair takes half a second to import

    gradients = signals.task_gradients
    on = {gradient: words.TASK_GRADIENT_WORDS[gradient] for gradient in gradients}
    panels = {
        "cosines": [
            draw(
                charts.cosine_chart(signals, objective, gradient, legend=False),
                f"Noise-corrected cosine of {objective} with the task gradient on {on[gradient]}, by layer. "
                f"All layers after warm-up: {words.estimated(signals.cosine(objective, gradient))}.",
            )
            for objective in signals.objectives
            for gradient in gradients
        ],
        "magnitudes": [
            draw(
                charts.magnitude_chart(signals, gradient, legend=False),
                f"Gradient norm of each objective over the task's on {on[gradient]}, by layer.",
            )
            for gradient in gradients
        ],
        "lookahead": [
            draw(
                charts.lookahead_chart(signals, gradient, legend=False),
                f"Fall of the task loss on {on[gradient]} after one step on each objective.",
            )
            for gradient in gradients
        ],
        "distances": [
            draw(chart, f"{what}, by layer.")
            for chart, what in (
                (charts.similarity_chart(signals), "Cosine of translations and of random sentences"),
                (charts.similarity_chart(signals, "word"), "Cosine of aligned and of random words"),
                (charts.retrieval_chart(signals), "Share of translations retrieved"),
                (charts.cka_chart(signals), "Debiased linear CKA of the two languages"),
            )
        ],
    }
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
    return keys | {name: [panel for panel in drawn if panel is not None] for name, drawn in panels.items()}


def _finalize(value: Any) -> Any:
    """Clean strings from outside; what the templates themselves have marked as safe passes."""
    return words.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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
    shared = ("count", "duration", "estimated", "interval", "minutes", "number", "percent", "share", "signed")
    environment.filters |= {name: getattr(words, name) for name in shared} | {
        "id": id,
        "web_address": _web_address,
    }
    environment.globals |= {
        "METRICS": METRICS,
        "TARGET_GRADIENTS": ("target-labels", "target-projected"),
    }
    return environment

"""The charts of a report, as Altair objects: the page draws them as SVG, the app shows them live.

Each builder takes what was found and returns one chart, ``width`` pixels wide in all, with a title and
axis titles of its own. Colours are Okabe and Ito's, which stay apart under every common form of colour
blindness; marks differ in shape as well. An empty selection gives None, never an empty frame.
"""

from advisor.report.charts._cosine import cosine_chart, heat_chart
from advisor.report.charts._gain import cost_chart, gain_chart, place_chart
from advisor.report.charts._measured import (
    LOOKAHEAD_STYLES,
    cka_chart,
    lookahead_chart,
    magnitude_chart,
    retrieval_chart,
    similarity_chart,
)
from advisor.report.charts.style import COLOURS, DARK, INKS, objective_style

__all__ = [
    "COLOURS",
    "DARK",
    "INKS",
    "LOOKAHEAD_STYLES",
    "cka_chart",
    "cosine_chart",
    "cost_chart",
    "gain_chart",
    "heat_chart",
    "lookahead_chart",
    "magnitude_chart",
    "objective_style",
    "place_chart",
    "retrieval_chart",
    "similarity_chart",
]

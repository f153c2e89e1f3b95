"""Charts and text stand out from the page as WCAG 2.2 wants: 4.5 to 1 for text, 3 to 1 for marks."""

import re
import tomllib
from pathlib import Path

import pytest

from advisor import app
from advisor.report.charts import COLOURS, DARK, INKS

_FOLDER = Path(app.__file__).parent
_THEME = tomllib.loads((_FOLDER / "streamlit.toml").read_text())["theme"]
_CSS = (_FOLDER / "page.css").read_text()
_CHARTS = {"light": COLOURS | INKS, "dark": DARK}
_TEXT, _MARK = 4.5, 3.0


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_of_known_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chart_colours_stand_out(scheme: str) -> None:
    page = _THEME[scheme]["backgroundColor"]
    colours = _CHARTS[scheme]
    for name in ("ink", "muted"):
        assert contrast(colours[name], page) >= _TEXT, name
    for name in (*COLOURS, "line"):
        assert contrast(colours[name], page) >= _MARK, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_themes_text_stands_out(scheme: str) -> None:
    theme = _THEME[scheme]
    for text in ("textColor", "linkColor", "primaryColor"):
        for behind in ("backgroundColor", "secondaryBackgroundColor"):
            assert contrast(theme[text], theme[behind]) >= _TEXT, (text, behind)


def test_both_palettes_have_the_same_names() -> None:
    assert DARK.keys() == (COLOURS | INKS).keys()


@pytest.mark.parametrize("place", [0, 1])
def test_the_pages_own_text_stands_out_from_every_ground(place: int) -> None:
    pairs = [
        (kind, match.split(", ")[place])
        for kind, match in re.findall(r"(?<![-\w])(color|background): light-dark\(([^)]*)\)", _CSS)
    ]
    page = _THEME[("light", "dark")[place]]["backgroundColor"]
    grounds = {colour for kind, colour in pairs if kind == "background"} | {page}
    # Bars and grooves of meters carry no text; white on the primary colour is the theme's.
    grounds = {ground for ground in grounds if abs(luminance(ground) - luminance(page)) < 0.12}
    texts = {colour for kind, colour in pairs if kind == "color"} - {("#ffffff", "#10151b")[place]}
    assert len(texts) >= 4
    assert len(grounds) >= 4
    faint = {(t, g): contrast(t, g) for t in texts for g in grounds if contrast(t, g) < _TEXT}
    assert faint == {}

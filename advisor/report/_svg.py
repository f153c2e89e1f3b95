"""Altair charts as inline SVG that follows the page: its colours, its width, its light or dark."""

import base64
import re
from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from advisor.report.words import clean

if TYPE_CHECKING:
    import altair as alt

_DECIMALS = re.compile(r"-?\d+\.\d{2,}")
_DROPPED = ("width", "height", "class", "version")


class Drawing:
    """Turns the charts of one page into SVG elements with ids that are unique on that page.

    Args:
        as_images: make each an ``<img>`` that holds its SVG, for pages that let no other SVG in.
    """

    def __init__(self, *, as_images: bool = False) -> None:
        self._serial = count(1)
        self._as_images = as_images

    def __call__(self, chart: "alt.LayerChart | None", label: str) -> Markup | None:
        """The chart as one ``<svg>`` with ``label`` for those who cannot see it; None stays None."""
        if chart is None:
            return None
        # Both take a good part of a second to import; a terminal answer must not wait for them.
        import altair as alt
        import vl_convert

        from advisor.report.charts import COLOURS, INKS

        root = ElementTree.fromstring(
            vl_convert.vegalite_to_svg(
                # The builders are tested against the schema; checking again costs a third of the time.
                chart.to_dict(validate=False),
                vl_version=".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2]),
            )
        )
        width = float(root.get("width", "0"))
        variables = {value: f"var(--{name})" for name, value in (COLOURS | INKS).items()}
        prefix = f"c{next(self._serial)}-"
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
            for name, value in list(element.attrib.items()):
                if (
                    name in ("role", "pointer-events")
                    or name.startswith("aria-")
                    or (name, value) == ("opacity", "1")  # as it is without; a large page has thousands
                ):
                    del element.attrib[name]
                elif name == "id":
                    element.set(name, prefix + value)
                elif value.startswith("url(#"):
                    element.set(name, value.replace("url(#", f"url(#{prefix}"))
                elif name in ("fill", "stroke"):
                    element.set(name, variables.get(value.lower(), value))
                elif name in ("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "points"):
                    element.set(name, _DECIMALS.sub(_shorten, value))
        if self._as_images:
            return _image(root, clean(label), width)
        for name in _DROPPED:
            root.attrib.pop(name, None)
        root.set("role", "img")
        root.set("aria-label", clean(label))
        root.set("style", f"max-width:{1.15 * width:.0f}px")
        return Markup(ElementTree.tostring(root, encoding="unicode"))


def _image(root: ElementTree.Element, label: str, width: float) -> Markup:
    """The SVG inside an ``<img>``; it follows the colour scheme of the page around it."""
    from advisor.report.charts import COLOURS, DARK, INKS

    root.set("xmlns", "http://www.w3.org/2000/svg")
    both = {name: f"light-dark({light}, {DARK[name]})" for name, light in (COLOURS | INKS).items()}
    style = ElementTree.Element("style")
    variables = "".join(f"--{name}: {value};" for name, value in both.items())
    style.text = f"svg {{ color-scheme: light dark; {variables} }}"
    root.insert(0, style)
    data = base64.b64encode(ElementTree.tostring(root)).decode()
    return Markup(
        '<img role="img" alt="{}" style="max-width:{:.0f}px" src="data:image/svg+xml;base64,{}">'
    ).format(label, 1.15 * width, data)


def _shorten(match: re.Match[str]) -> str:
    # A tenth of a pixel is as fine as any screen.
    return f"{float(match.group()):.1f}".rstrip("0").rstrip(".")

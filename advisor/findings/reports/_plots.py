"""Two pictures of the card as SVG: what was said against what came, and what following the advice costs."""

from collections.abc import Sequence

from advisor.findings.reports._figures import Bin, Validation

_INK, _MUTED, _BLUE = "#1f2933", "#7b8794", "#0072b2"
_STYLE = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'


def reliability_plot(bins: Sequence[Bin]) -> str:
    """The share of cells that gained over the probability that was said, by groups of cells.

    Args:
        bins: of all splits; a dot's area goes with its cells.
    """
    size, edge = 300, 48
    most = max((row.cells for row in bins), default=1)

    def x(share: float) -> float:
        return edge + share * size

    def y(share: float) -> float:
        return 16 + (1 - share) * size

    parts = [
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="{_MUTED}" stroke-dasharray="4 3"/>'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(x(share), y(0) + 18, f"{share:.0%}", "middle"))
        parts.append(_text(x(0) - 8, y(share) + 4, f"{share:.0%}", "end"))
    for row in bins:
        radius = 3 + 9 * (row.cells / most) ** 0.5
        title = f"said {row.said:.0%}, came {row.came:.0%}, {row.cells} cells"
        parts.append(
            f'<circle cx="{x(row.said):.1f}" cy="{y(row.came):.1f}" r="{radius:.1f}" fill="{_BLUE}" '
            f'fill-opacity="0.75"><title>{title}</title></circle>'
        )
    parts.append(_text(x(0.5), y(0) + 38, "P(gain > 0) that was said", "middle"))
    parts.append(_text(x(0), 10, "share that gained", "start"))
    said = "; ".join(f"said {row.said:.0%}, came {row.came:.0%} ({row.cells})" for row in bins)
    return _svg(size + 2 * edge, size + 64, f"Reliability on held-out cells: {said}.", parts)


def regret_plot(validation: Validation) -> str:
    """Regret of the advice and of the fixed rules, split by split."""
    rows = [
        (report.split, method.name, method.regret.value)
        for report in validation.splits
        for method in report.methods
        if method.name in ("advice", "never") or method.name.startswith("always")
    ]
    most = max((regret for *_, regret in rows), default=1.0)
    left, width, step = 250, 260, 18
    parts, y = [], 20
    for place, (split, name, regret) in enumerate(rows):
        if place and rows[place - 1][0] != split:
            y += 10
        colour = _BLUE if name == "advice" else _MUTED
        parts.append(_text(left - 8, y + 4, f"{split} out: {name}", "end"))
        parts.append(f'<circle cx="{left + width * regret / most:.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(_text(left + width * regret / most + 9, y + 4, f"{regret:.2f}", "start"))
        y += step
    parts.append(_text(left, y + 10, "regret, points a cell", "start"))
    said = "; ".join(f"{split} out, {name}: {regret:.2f}" for split, name, regret in rows)
    return _svg(left + width + 60, y + 24, f"Regret in points a cell: {said}.", parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{shown}</text>'


def _svg(width: int, height: int, description: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" {_STYLE}>\n<title>{description}</title>\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )

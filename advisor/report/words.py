"""Numbers and names as a reader sees them: one place, so that page, terminal and notebook agree."""

import math
import re
import unicodedata
from collections.abc import Sequence

from rich.text import Text

from advisor.advice import Advice, Gain
from advisor.decide import Verdict
from advisor.findings.model.scale import LARGEST
from advisor.options import NO_ALIGNMENT, FrozenLayers, Option
from advisor.sample import sample_sha256
from probes.signals import Estimate, Point, Signals, TaskGradient

MINUS = "\N{MINUS SIGN}"
_NEGATIVE = re.compile(r"(?<![\w.\-])-(?=\d)")

TERMINAL_COLOURS = {"align": "green", "do-not-align": "yellow", "open": "cyan"}
"""By :func:`tone`."""
DECISION_WORDS: dict[Verdict, str] = {"align": "Align", "do-not-align": "Fine-tune alone"}
POINT_WORDS: dict[Point, str] = {"theta0": "as given", "theta_warm": "after warm-up"}
TASK_GRADIENT_WORDS: dict[TaskGradient, str] = {
    "source": "source text",
    "target-labels": "target text, your labels",
    "target-projected": "target text, projected labels",
}


def clean(text: str) -> str:
    """``text`` on one line, with the characters that steer a terminal or reverse the text replaced.

    Model ids, labels and file names come from outside: an escape sequence in one of them must not reach
    the reader's terminal, nor a bidirectional override reorder the words around it.
    """
    return "".join(" " if c in "\n\r\t" else "\N{REPLACEMENT CHARACTER}" if _steers(c) else c for c in text)


_REORDERING = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")


def _steers(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _REORDERING


def plain(text: str, style: str = "") -> Text:
    """``text`` for a terminal, as it is and never as markup: a label such as ``[/]`` must come out.

    With the ASCII hyphen, because a minus that an old terminal cannot encode would take the sign of a gain
    with it.
    """
    return Text(clean(text).replace(MINUS, "-"), style=style)


def number(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits and a true minus sign; whole from 10**digits on."""
    if abs(value) >= 10**digits:
        text = f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.{digits - 1}e}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def estimated(estimate: Estimate | None, decimals: int | None = None) -> str:
    """An estimate with its interval, to as many decimals as asked for, or as the interval's width bears out.

    ``unresolved`` stands where there is no value, a dash where nothing was measured.
    """
    if estimate is None:
        return "\N{EN DASH}"
    if estimate.value is None:
        return "unresolved"
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    numbers = (estimate.value, estimate.low, estimate.high)
    width = estimate.high - estimate.low
    if decimals is None and not 1e-6 < width < 1e6:
        value, low, high = map(number, numbers)
        return f"{value} [{low}, {high}]"
    if decimals is None:
        decimals = max(0, math.ceil(-math.log10(width / 3)))
    value, low, high = (f"{part:z,.{decimals}f}".replace("-", MINUS) for part in numbers)
    return f"{value} [{low}, {high}]"


def signed(value: float, decimals: int = 1) -> str:
    """``value`` with its sign: points are differences, and a difference without a sign misleads."""
    text = f"{value:+z.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def with_minus(text: str) -> str:
    """``text`` with the hyphens before its numbers as minus signs, as all other figures have them."""
    return _NEGATIVE.sub(MINUS, text)


def interval(gain: Gain, decimals: int = 1) -> str:
    """The interval of a gain, as in ``+0.2 to +2.6``, or ``+0.2 to +40 or more`` where no larger is told."""
    low = f"{MINUS}{LARGEST:.0f} or less" if gain.low <= -LARGEST else signed(gain.low, decimals)
    return f"{low} to " + (f"+{LARGEST:.0f} or more" if gain.high >= LARGEST else signed(gain.high, decimals))


def expected(gain: Gain) -> str:
    """A gain with its interval, as in ``+1.4 (+0.2 to +2.6)``."""
    return f"{signed(gain.mean)} ({interval(gain)})"


def percent(fraction: float) -> str:
    """A probability as a whole per cent, never rounded to certainty."""
    if 0 < fraction < 0.005:
        return "<1%"
    if 0.995 < fraction < 1:
        return ">99%"
    return f"{100 * fraction:.0f}%"


def share(fraction: float) -> str:
    """A share as a per cent with two significant digits, so that a small one is not shown as none."""
    return f"{number(100 * fraction, 2)}%"


def count(value: int) -> str:
    """A whole number with thousands separated."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """A time span in the unit a person would choose."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def minutes(value: float) -> str:
    """A price in time, as in ``3 min``; never more exact than it can be."""
    if value < 1:
        return "under a minute"
    if value < 100:
        return f"{value:.0f} min"
    return f"{value / 60:.0f} h"


def took(value: float) -> str:
    """Minutes that something took, with a decimal below ten, so that a short run is not said to take none."""
    return f"{value:.{int(value < 10)}f} min"


def is_sample(signals: Signals) -> bool:
    """Whether what was measured on is the sample that comes along: too small to rest anything on."""
    ours = sample_sha256()
    return any(data.sha256 in ours for data in signals.data)


def verdict(estimate: Estimate) -> str:
    """What the sign of a cosine says about two gradients, in one or two words."""
    if not estimate.resolved:
        return "unresolved"
    return {1: "agree", -1: "conflict", 0: "no clear sign"}[estimate.sign]


def block_label(block: str) -> str:
    """The short name of a block on an axis: ``emb``, the layer's number, ``all``."""
    short = {"embeddings": "emb", "encoder": "all"}
    return short.get(block, clean(block.removeprefix("layer.")))


def _how(option: Option) -> str:
    parts = [str(option.schedule)]
    if option.frozen_layers is not FrozenLayers.NONE:
        parts.append(f"{option.frozen_layers.replace('-', ' ')} frozen")
    return ", ".join(parts)


def option_label(option: Option) -> str:
    """What an option is called where no other stands beside it."""
    return ", ".join(filter(None, option_labels([option])[0]))


def option_labels(options: Sequence[Option]) -> list[tuple[str, str]]:
    """For each option its objective and the rest, as short as they can be and still differ.

    Word pairs and weight are the same throughout one advice as a rule; they are written only where
    two options would otherwise look alike.
    """
    short = [(option.objective, "" if option == NO_ALIGNMENT else _how(option)) for option in options]
    if len(set(short)) == len(short):
        return short
    return [
        (option.objective, ", ".join(str(option).split(", ")[1:])) if option != NO_ALIGNMENT else label
        for option, label in zip(options, short, strict=True)
    ]


def tone(advice: Advice) -> str:
    """Name of the style that an answer is shown in: by its decision, or ``open``."""
    return "open" if advice.confidence == "open" else advice.decision


def is_advised(advice: Advice, option: Option) -> bool:
    """Whether ``option`` is the advised one, whatever weight the advice has put on it."""
    return option.model_copy(update={"weight": None}) == advice.option.model_copy(update={"weight": None})

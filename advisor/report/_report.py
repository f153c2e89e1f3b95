"""One answer in every form it takes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from advisor.advice import Advice
from advisor.files import write_files
from advisor.report._measured import measurements
from advisor.report._terminal import render_terminal
from probes.signals import Signals

_OWN_FILES = ("advice.json", "signals.json", "report.html")


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """Advice, with the signals it was made from where something was measured.

    ``rich.print(report)`` shows it in a terminal and a notebook shows its card, and its charts one by one.
    Nothing here needs the network, and only :meth:`to_html` and :meth:`write` load the drawing library.

    Attributes:
        advice: what is recommended and why.
        signals: what was measured; None where the advice rests on evidence alone.

    Example:
        >>> from advisor.advice import Advice
        >>> report = Report(Advice.load("out/advice.json"))  # doctest: +SKIP
        >>> report.write("out")  # doctest: +SKIP
    """

    advice: Advice
    signals: Signals | None = None

    @property
    def measured(self) -> dict[str, str]:
        """What the probe found, in words by what it is; the same names for all languages."""
        if self.signals is None:
            return {}
        languages = f"{self.signals.source} to {self.signals.target}"
        return {
            row.name.replace(languages, "both languages"): row.value
            if row.value == row.judgement
            else f"{row.value}; {row.judgement}"
            for row in measurements(self.signals)
        }

    def to_json(self) -> str:
        """Advice and signals as one JSON object with the keys ``advice`` and ``signals``."""
        parts = {
            "advice": self.advice.model_dump(mode="json"),
            "signals": self.signals.model_dump(mode="json") if self.signals else None,
        }
        return json.dumps(parts, indent=2, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """The whole report as one HTML page that needs no other file, no script and no network."""
        # jinja2 and altair together take longer to import than a terminal answer takes.
        from advisor.report._page import render_page

        return render_page(self.advice, self.signals)

    def fragment(self, *, whole: bool = True) -> str:
        """The report as a part of another HTML page, styles and all.

        Args:
            whole: with pictures, evidence and details; else the answer alone.
        """
        from advisor.report._page import render_fragment

        return render_fragment(self.advice, self.signals, whole=whole)

    @property
    def charts(self) -> dict[str, Any]:
        """The pictures as Altair objects by name, those there is data for; ``cosine/OBJECTIVE`` by layer."""
        from advisor.report import charts

        drawn = {
            "gain": charts.gain_chart(self.advice),
            "cost": charts.cost_chart(self.advice),
            "evidence": charts.place_chart(self.advice),
        }
        if (signals := self.signals) is not None:
            leading = signals.task_gradients[0]
            drawn |= {"cosines": charts.heat_chart(signals), "retrieval": charts.retrieval_chart(signals)}
            drawn |= {
                "magnitudes": charts.magnitude_chart(signals, leading),
                "lookahead": charts.lookahead_chart(signals, leading),
            }
            for name in signals.objectives:
                drawn[f"cosine/{name}"] = charts.cosine_chart(signals, name, leading)
        return {name: chart for name, chart in drawn.items() if chart is not None}

    def terminal(self, files: Sequence[Path] | None = None) -> RenderableType:
        """The report for ``rich.print``; the ``files`` that a command wrote are named at its end."""
        return render_terminal(self.advice, self.signals, files)

    def write(
        self, directory: str | Path, extra: Mapping[str, str | bytes | None] | None = None
    ) -> tuple[Path, ...]:
        """Write ``advice.json``, ``signals.json``, ``report.html`` and ``extra`` into ``directory``.

        Each file is afterwards either as it was or new, never half-written. Without signals, a
        ``signals.json`` that an earlier run left is removed: it would belong to another answer.

        Args:
            directory: created where it does not exist; other files in it are left alone.
            extra: further content by path relative to ``directory``; None removes that file.

        Returns:
            The files written.

        Raises:
            InputError: if the path is a file, lies below one, or may not be written to.
            RunError: if the disk is full, read-only or broken.
            ValueError: if ``extra`` names one of the report's own files or leads out of ``directory``.
        """
        extra = extra or {}
        taken = extra.keys() & set(_OWN_FILES)
        if taken:
            raise ValueError(f"the report writes {', '.join(sorted(taken))} itself")
        own = {
            "advice.json": self.advice.model_dump_json(indent=2) + "\n",
            "signals.json": self.signals.model_dump_json(indent=2) + "\n" if self.signals else None,
            "report.html": self.to_html(),
        }
        return write_files(directory, {**own, **extra})

    def __repr__(self) -> str:
        return f"<Report: {self.advice.summary} Show it with rich.print.>"

    def __rich__(self) -> RenderableType:
        return self.terminal()

    def _repr_html_(self) -> str:
        return self.fragment(whole=False)  # 15 kB: a notebook keeps what it shows

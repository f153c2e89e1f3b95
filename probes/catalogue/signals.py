"""Numbers that a probe yields for an objective: what each says, and where in the signals it stands.

The names are those of the columns in the table of own records. Signals are measured after the warm-up
(``theta_warm``) unless the name begins with ``theta0_``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from probes.catalogue._registry import Registry

if TYPE_CHECKING:
    from probes.signals import Estimate, Point, Signals, TaskGradient

SignalKind = Literal["cosine", "lookahead", "magnitude", "frozen-score", "distance", "text", "projection"]
"""What sort of measurement a signal is."""

Reading = Callable[["Signals", str], "Estimate | float | None"]
"""Finds a signal in what a probe measured, for an objective; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One number that a probe yields.

    Attributes:
        name: its column in the table of own records.
        summary: what it is, in one sentence.
        kind: what sort of measurement it is.
        unit: of its values.
        read: finds it in what a probe measured.
        labels: which text and labels the task gradient or loss in it stands on, where there is one.
        at: the point where it was taken, where it belongs to one.
        signed: whether its sign should be the gain's.
        direction: 1 if more of it should speak for aligning, -1 if against, 0 where nothing is expected.
        with_error: whether its standard error is kept in a column of its own.
        less: the two signals it is the difference of, if it is one; it then has no column.
    """

    name: str
    summary: str
    kind: SignalKind
    unit: str
    read: Reading
    labels: "TaskGradient | None" = None
    at: "Point | None" = None
    signed: bool = False
    direction: Literal[-1, 0, 1] = 0
    with_error: bool = False
    less: tuple[str, str] | None = None

    @property
    def error_column(self) -> str:
        """The column of its standard error."""
        return f"{self.name}_se"

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in the table of own records."""
        if self.less is not None:
            return ()
        return (self.name, self.error_column) if self.with_error else (self.name,)


_LAYERS_TOGETHER = "encoder"
_ON: dict["TaskGradient", str] = {
    "target-labels": "on target text with your labels",
    "target-projected": "on target text with projected labels",
    "source": "on source text",
}
_AT: dict["Point", tuple[str, str]] = {
    "theta_warm": ("", "after the warm-up"),
    "theta0": ("theta0_", "of the model as given"),
}


def _field(rows: Iterable[object], field: str, **wanted: object) -> Any:
    """A field of the row that has the values wanted, if there is one."""
    asked = wanted.items()
    found = (row for row in rows if all(getattr(row, name) == value for name, value in asked))
    return getattr(next(found, None), field, None)


def _cosine(field: str, at: "Point", labels: "TaskGradient", signals: "Signals", objective: str) -> Any:
    where = {"objective": objective, "block": _LAYERS_TOGETHER}
    return _field(signals.cosines, field, point=at, task_gradient=labels, **where)


def _conflict(field: str, at: "Point", labels: "TaskGradient", signals: "Signals", objective: str) -> Any:
    return _field(signals.conflicts, field, point=at, task_gradient=labels, objective=objective)


def _lookahead(scaling: str, at: "Point", labels: "TaskGradient", signals: "Signals", objective: str) -> Any:
    where = {"objective": objective, "scaling": scaling}
    return _field(signals.lookahead, "change", point=at, on=labels, **where)


def _ceiling(at: "Point", signals: "Signals", objective: str) -> Any:
    return _field(signals.losses, "ceiling", point=at, loss=objective, block=_LAYERS_TOGETHER)


def _distance(unit: str, measure: str, depth: str, signals: "Signals", _objective: str) -> Any:
    layer = signals.model.layers if depth == "last" else round(signals.model.layers / 2)
    return _field(signals.distances, "value", layer=layer, unit=unit, measure=measure)


def _difference(first: str, second: str, signals: "Signals", objective: str) -> float | None:
    values = [value_of(SIGNALS[name].read(signals, objective)) for name in (first, second)]
    return None if values[0] is None or values[1] is None else values[0] - values[1]


def value_of(reading: "Estimate | float | None") -> float | None:
    """The number in a reading, if it has one."""
    return reading if reading is None or isinstance(reading, float | int) else reading.value


_Read = Callable[[str, "Point", "TaskGradient", "Signals", str], Any]
_EXPECTED: dict[str, Any] = {"signed": True, "direction": 1}
_OF_GRADIENTS: tuple[tuple[str, str, SignalKind, str, _Read, str, dict[str, Any]], ...] = (
    (
        "cosine",
        "Noise-corrected cosine of the objective's gradient with that of {on}.",
        *("cosine", "cosine", _cosine, "cosine", {**_EXPECTED, "with_error": True}),
    ),
    (
        "raw_cosine",
        "Cosine of single-batch gradients of the objective and of {on}, shrunk by noise.",
        *("cosine", "cosine", _cosine, "raw_cosine", _EXPECTED),
    ),
    (
        "null_cosine",
        "The cosine with {on}, of the objective on shuffled pairs.",
        *("cosine", "cosine", _cosine, "null_cosine", {}),
    ),
    (
        "magnitude_ratio",
        "Norm of the objective's gradient over that of {on}.",
        *("magnitude", "ratio", _cosine, "magnitude_ratio", {}),
    ),
    (
        "conflict",
        "Share of layers where the objective's gradient is clearly against that of {on}.",
        *("cosine", "share", _conflict, "share", {"direction": -1}),
    ),
    (
        "lookahead",
        "What a small step on the objective takes off the loss of {on}.",
        *("lookahead", "%", _lookahead, "raw", {**_EXPECTED, "with_error": True}),
    ),
    (
        "lookahead_adam",
        "What a small Adam-scaled step on the objective takes off the loss of {on}.",
        *("lookahead", "%", _lookahead, "adam", {**_EXPECTED, "with_error": True}),
    ),
)
"""Name, what it is, kind, unit, where to read it, and what is expected of it."""


def _of_gradients(at: "Point", labels: "TaskGradient") -> Iterator[Signal]:
    """Gradients of an objective beside the task's, and what a step on the objective does to the task."""
    prefix, when = _AT[at]
    on = f"the task {_ON[labels]}, {when}"
    for name, summary, kind, unit, read, what, traits in _OF_GRADIENTS:
        yield Signal(
            f"{prefix}{labels.replace('-', '_')}_{name}",
            summary.format(on=on),
            *(kind, unit, partial(read, what, at, labels), labels, at),
            **traits,
        )


def _less_null(at: "Point", labels: "TaskGradient") -> Signal:
    prefix, when = _AT[at]
    stem = f"{prefix}{labels.replace('-', '_')}"
    pair = (f"{stem}_cosine", f"{stem}_null_cosine")
    return Signal(
        name=f"{stem}_cosine_less_null",
        summary=f"The cosine with the task {_ON[labels]}, {when}, less that on shuffled pairs.",
        kind="cosine",
        unit="cosine",
        read=partial(_difference, *pair),
        labels=labels,
        at=at,
        signed=True,
        direction=1,
        less=pair,
    )


_OF_CELL = (
    Signal(
        "frozen_source",
        "Score of the head fitted on frozen source features, on source text.",
        *("frozen-score", "points", lambda signals, _: signals.transfer.source),
    ),
    Signal(
        "frozen_target",
        "Score of the same head on target text.",
        *("frozen-score", "points", lambda signals, _: signals.transfer.target),
        labels="target-labels",
        direction=-1,
    ),
    Signal(
        "fertility_ratio",
        "Subwords a word in target text over those in source text.",
        *("text", "ratio", lambda signals, _: signals.text.target_fertility / signals.text.source_fertility),
    ),
    Signal(
        "unknown_rate",
        "Share of the target text's subwords that the tokenizer does not know.",
        *("text", "share", lambda signals, _: signals.text.target_unknown_rate),
    ),
    Signal(
        "projection_coverage",
        "Share of target words or sentences that a projected label reached.",
        *("projection", "share", lambda signals, _: getattr(signals.projection, "coverage", None)),
        labels="target-projected",
    ),
    Signal(
        "projection_cosine",
        "Cosine of the task gradients with projected and with true labels.",
        *("projection", "cosine", lambda signals, _: getattr(signals.projection, "cosine_with_labels", None)),
        labels="target-projected",
    ),
)
"""What does not depend on the objective."""


def _of_distances() -> Iterator[Signal]:
    """How far apart the two languages lie."""
    for name, unit, measure, summary in (
        ("sentence_gap", "sentence", "cosine-gap", "Cosine of translations less that of random sentences"),
        ("sentence_random", "sentence", "random-cosine", "Cosine of random sentences of the two languages"),
        ("sentence_retrieval", "sentence", "retrieval-strict", "Share of translations that find each other"),
        ("sentence_cka", "sentence", "cka", "Linear CKA, debiased, of the two languages' sentences"),
        ("word_gap", "word", "cosine-gap", "Cosine of aligned words less that of random words"),
    ):
        for depth in ("last", "middle"):
            yield Signal(
                f"{name}_{depth}",
                f"{summary}, at the {depth} layer.",
                "distance",
                "share" if measure == "retrieval-strict" else "cosine",
                partial(_distance, unit, measure, depth),
            )


SIGNALS: Registry[Signal] = Registry(
    "signal",
    (
        *(signal for at in _AT for labels in _ON for signal in _of_gradients(at, labels)),
        *(
            Signal(
                f"{prefix}ceiling",
                f"Cosine of two batches' gradients of the objective {when}: what a raw cosine can reach.",
                *("cosine", "cosine", partial(_ceiling, at)),
                at=at,
            )
            for at, (prefix, when) in _AT.items()
        ),
        *_OF_CELL,
        *_of_distances(),
        *(_less_null(at, labels) for at in _AT for labels in _ON),
    ),
)
"""Every signal, in the order of the table's columns."""

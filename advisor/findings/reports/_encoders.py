"""What the tables know of encoders."""

from pydantic import BaseModel, ConfigDict

from advisor.findings.evidence import EncoderFacts, find_encoder, load_tables, nearest_names
from probes.errors import InputError
from probes.languages import parse_language

_PARALLEL = {True: "yes", False: "no", None: "?"}


class EncoderRow(BaseModel):
    """One encoder; None is what is not known.

    Attributes:
        parallel: whether translations were among its training data.
        corpora: what it was pretrained on, the encoder it started from included.
        languages: how many of the tables' languages it saw, and of how many that is not known.
        saw: of the language asked about: ``yes``, ``no`` or ``unknown``, with the amount where published.
        effects: measured on it that findings pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    year: int | None
    parameters_m: float | None
    layers: int | None
    width: int | None
    vocabulary: int | None
    objectives: tuple[str, ...]
    parallel: bool | None
    corpora: tuple[str, ...]
    languages: tuple[int, int]
    saw: str | None
    effects: int
    citation: str


class EncoderReport(BaseModel):
    """Encoders with their facts; ``language`` is the name of the one asked about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str | None
    encoders: tuple[EncoderRow, ...]

    def markdown(self) -> str:
        """A line an encoder."""
        return "\n".join(f"- {self._line(row)}" for row in self.encoders)

    def _line(self, row: EncoderRow) -> str:
        seen, open_ = row.languages
        parts = (
            f"{_said(row.parameters_m)} M parameters, {_said(row.layers)} layers of {_said(row.width)}",
            f"trained by {', '.join(row.objectives) or '?'} on {', '.join(row.corpora) or '?'}",
            f"parallel data: {_PARALLEL[row.parallel]}",
            f"{self.language}: {row.saw}" if self.language else f"saw {seen} languages, {open_} are open",
            f"{row.effects} effects",
            row.citation or "not in the tables",
        )
        return f"**{row.name}** ({row.year or '?'}): {'; '.join(parts)}."


def encoders(name: str | None = None, language: str | None = None) -> EncoderReport:
    """What is known of one encoder, or of all.

    Args:
        name: a hub id, an alias or a folder; all encoders without.
        language: what of it their pretraining saw.

    Raises:
        InputError: if the name or the language is unknown, or the model only decodes.
    """
    tables = load_tables()
    target = parse_language(language) if language else None
    if name is None:
        chosen = {e.name: e for e in tables.encoders.values() if e.kind == "encoder"}.values()
    else:
        found = find_encoder(name, tables.encoders)
        if found.told == "nowhere":
            near = nearest_names(name, tables.encoders)
            hint = f": did you mean {' or '.join(near)}?" if near else "."
            raise InputError(f"The tables have no encoder called '{name}'{hint}")
        chosen = {found.name: found}.values()
    return EncoderReport(
        language=target.name if target else None,
        encoders=tuple(_row(encoder, target.code if target else None) for encoder in chosen),
    )


def _row(encoder: EncoderFacts, language: str | None) -> EncoderRow:
    tables = load_tables()
    answers = [encoder.saw(code).answer for code in tables.languages]
    return EncoderRow(
        name=encoder.name,
        year=encoder.year,
        parameters_m=encoder.parameters_m,
        layers=encoder.layers,
        width=encoder.width,
        vocabulary=encoder.vocabulary,
        objectives=encoder.objectives,
        parallel=encoder.parallel,
        corpora=tuple(corpus.name for corpus in encoder.corpora),
        languages=(answers.count("yes"), answers.count("unknown")),
        saw=_amount(encoder, language) if language else None,
        effects=sum(effect.model == encoder.name for effect in tables.pooled),
        citation=encoder.citation,
    )


def _amount(encoder: EncoderFacts, language: str) -> str:
    seen = encoder.saw(language)
    return seen.answer if seen.gib is None else f"{seen.answer}, {seen.gib:g} GiB"


def _said(number: float | None) -> str:
    return "?" if number is None else f"{number:,g}"

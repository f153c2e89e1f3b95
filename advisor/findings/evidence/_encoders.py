"""Facts per encoder: size, how it was trained, and what it saw of a language.

A fact that is not known is None, and ``saw`` answers ``unknown``: nothing is filled in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Seen:
    """What an encoder's pretraining saw of a language.

    Attributes:
        answer: ``yes``, ``no`` or ``unknown``.
        gib: how much, in GiB of text; None where it was not published.
    """

    answer: Literal["yes", "no", "unknown"]
    gib: float | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """Text an encoder was pretrained on.

    Attributes:
        count: of its languages, as published.
        languages: codes of all of them; None where it is not known which they are.
        open: codes of those that may or may not be among them.
        sizes: GiB by language, where published.
    """

    name: str
    count: int | None
    languages: frozenset[str] | None
    open: frozenset[str]
    sizes: Mapping[str, float]
    citation: str

    def has(self, language: str) -> Seen:
        """Whether the corpus has a language, and how much of it."""
        if self.languages is None or language in self.open:
            return Seen("unknown")
        return Seen("yes", self.sizes.get(language)) if language in self.languages else Seen("no")


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What is known of an encoder without loading it.

    Attributes:
        family: encoders of one recipe in several sizes; blank when the encoder is unknown.
        kind: ``encoder``; ``state`` for one that is no release; ``decoder`` for what cannot be advised on.
        parameters_m: parameters, in millions, embeddings included.
        layers, width, vocabulary: of the encoder stack.
        objectives: of its pretraining: ``mlm``, ``tlm``, ``contrastive``, ``distilled``, ``rtd``, ...
        parallel: whether translations were among its training data.
        corpora: all it was pretrained on, those of the encoder it started from included.
        amounts: the corpus whose sizes stand for its pretraining: ``cc100``, ``wikipedia`` or blank.
        told: where the facts come from, if not from the tables: ``config.json``, the user, or nowhere.
    """

    name: str
    family: str = ""
    kind: Literal["encoder", "state", "decoder"] = "encoder"
    year: int | None = None
    parameters_m: float | None = None
    layers: int | None = None
    width: int | None = None
    vocabulary: int | None = None
    objectives: tuple[str, ...] = ()
    parallel: bool | None = None
    corpora: tuple[Corpus, ...] = ()
    amounts: str = ""
    citation: str = ""
    told: str = ""

    @property
    def known(self) -> bool:
        """Whether the tables have the encoder."""
        return bool(self.citation)

    @property
    def contrastive(self) -> bool | None:
        """Whether it was trained to tell sentences or their translations apart; None if that is not known."""
        return "contrastive" in self.objectives if self.objectives else None

    def saw(self, language: str) -> Seen:
        """What its pretraining saw of a language (a code as in the tables)."""
        answers = [corpus.has(language) for corpus in self.corpora] or [Seen("unknown")]
        seen = [answer for answer in answers if answer.answer == "yes"]
        if seen:
            return Seen("yes", max((s.gib for s in seen if s.gib is not None), default=None))
        return Seen("unknown") if any(a.answer == "unknown" for a in answers) else Seen("no")

    def pretrained_on(self, languages: Iterable[str]) -> "EncoderFacts":
        """The encoder, said to have seen exactly these languages, in amounts that are not known."""
        told = Corpus("as told", None, frozenset(languages), frozenset(), {}, "the user")
        return replace(self, corpora=(told,), amounts="", told="the user")

    def like(self, other: "EncoderFacts") -> "EncoderFacts":
        """The encoder with the facts of another, as its user says that it is like it; sizes stay its own."""
        return replace(
            other,
            name=self.name,
            parameters_m=self.parameters_m or other.parameters_m,
            layers=self.layers or other.layers,
            width=self.width or other.width,
            vocabulary=self.vocabulary or other.vocabulary,
            citation="",
            told=f"the user: like {other.name}",
        )


def unknown_encoder(name: str) -> EncoderFacts:
    """An encoder of which nothing is known."""
    return EncoderFacts(name=name, told="nowhere")

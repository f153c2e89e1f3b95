"""Facts per language."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LanguageFacts:
    """What is known of a language.

    Attributes:
        code: ISO 639-1 where there is one, else 639-3.
        script: ISO 15924 code of its usual script.
        family: top of its Glottolog lineage.
        genus: WALS genus; may be blank.
        spaced: whether its script puts spaces between words.
        cc100_gib: size in CC-100 (XLM-R's pretraining data), in GiB; 0 when not in it.
        wikipedia_gib: size of its Wikipedia in 2020, in GiB.
        in_cc100: whether the public CC-100 release has it.
        in_wikipedia: whether mBERT was trained on it.
        syntactic: URIEL distance to English, 0-1, imputed by k nearest neighbours.
        genetic: URIEL distance to English, 0-1.
        geographic: URIEL distance to English, 0-1.
    """

    code: str
    name: str
    script: str
    family: str
    genus: str
    spaced: bool
    cc100_gib: float
    wikipedia_gib: float
    in_cc100: bool
    in_wikipedia: bool
    syntactic: float | None
    genetic: float | None
    geographic: float | None

"""The evidence: published effects, own records, and facts about languages and encoders, read and checked."""

from advisor.findings.evidence._cases import COVERAGE, FACTS, TYPOLOGY, Case, CaseMaker, Key
from advisor.findings.evidence._effects import (
    EARLY,
    OUTSIDE,
    OWN_RECORDS,
    STRATA,
    Effect,
    Lab,
    Record,
    SeedScores,
    Source,
    Tables,
    level_of,
)
from advisor.findings.evidence._languages import LanguageFacts
from advisor.findings.evidence._linter import CheckReport, Issue, check
from advisor.findings.evidence._models import ModelFacts, normalise_model
from advisor.findings.evidence._nearest import Neighbour, nearest, unseen
from advisor.findings.evidence._observations import Observation, observations, of_trial, standard_error
from advisor.findings.evidence._tables import TABLES, load_tables

__all__ = [
    "COVERAGE",
    "EARLY",
    "FACTS",
    "OUTSIDE",
    "OWN_RECORDS",
    "STRATA",
    "TABLES",
    "TYPOLOGY",
    "Case",
    "CaseMaker",
    "CheckReport",
    "Effect",
    "Issue",
    "Key",
    "Lab",
    "LanguageFacts",
    "ModelFacts",
    "Neighbour",
    "Observation",
    "Record",
    "SeedScores",
    "Source",
    "Tables",
    "check",
    "level_of",
    "load_tables",
    "nearest",
    "normalise_model",
    "observations",
    "of_trial",
    "standard_error",
    "unseen",
]

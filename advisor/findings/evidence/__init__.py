"""The evidence: published effects, own records, and facts about languages and encoders, read and checked."""

from advisor.findings.evidence._cases import COVERAGE, ENCODER_FACTS, FACTS, WRITING, Case, CaseMaker, Key
from advisor.findings.evidence._effects import (
    EARLY,
    LIGHT,
    LONG,
    OUTSIDE,
    OWN,
    OWN_RECORDS,
    STRATA,
    Effect,
    OwnRecord,
    SeedScores,
    Source,
    Tables,
)
from advisor.findings.evidence._encoders import EncoderFacts, unknown_encoder
from advisor.findings.evidence._linter import CheckReport, Issue, check
from advisor.findings.evidence._lookup import find_encoder, nearest_names, normalise_model
from advisor.findings.evidence._nearest import direct, nearest, unseen
from advisor.findings.evidence._observations import Observation, observations, of_trial, standard_error
from advisor.findings.evidence._rows import read_rows
from advisor.findings.evidence._tables import TABLES, load_tables
from advisor.findings.evidence._tasks import find_task

__all__ = [
    "COVERAGE",
    "EARLY",
    "ENCODER_FACTS",
    "FACTS",
    "LIGHT",
    "LONG",
    "OUTSIDE",
    "OWN",
    "OWN_RECORDS",
    "STRATA",
    "TABLES",
    "WRITING",
    "Case",
    "CaseMaker",
    "CheckReport",
    "Effect",
    "EncoderFacts",
    "Issue",
    "Key",
    "Observation",
    "OwnRecord",
    "SeedScores",
    "Source",
    "Tables",
    "check",
    "direct",
    "find_encoder",
    "find_task",
    "load_tables",
    "nearest",
    "nearest_names",
    "normalise_model",
    "observations",
    "of_trial",
    "read_rows",
    "standard_error",
    "unknown_encoder",
    "unseen",
]

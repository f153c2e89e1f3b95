"""Trials: really align, fine-tune and evaluate, and see what alignment gains on one's own data.

Importing this package loads neither torch nor transformers; :func:`run_trial` does when it is called.
"""

from advisor.study._console import ConsoleWatcher
from advisor.study._record import Configuration, CurvePoint, Record, Records, Scores
from advisor.study._result import OptionResult, RunSummary, TrialResult, summarise
from advisor.study._watch import SilentWatcher, Watcher
from advisor.study.trial import DEFAULT_OPTIONS, run_trial

__all__ = [
    "DEFAULT_OPTIONS",
    "Configuration",
    "ConsoleWatcher",
    "CurvePoint",
    "OptionResult",
    "Record",
    "Records",
    "RunSummary",
    "Scores",
    "SilentWatcher",
    "TrialResult",
    "Watcher",
    "run_trial",
    "summarise",
]

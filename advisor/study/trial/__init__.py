"""A trial: options run for real on one's own data, beside fine-tuning alone."""

from advisor.study.trial.result import OptionResult, RunSummary, TrialResult, summarise
from advisor.study.trial.run import DEFAULT_OPTIONS, ConsoleWatcher, Watcher, run_trial

__all__ = [
    "DEFAULT_OPTIONS",
    "ConsoleWatcher",
    "OptionResult",
    "RunSummary",
    "TrialResult",
    "Watcher",
    "run_trial",
    "summarise",
]

"""Real runs: align, fine-tune and evaluate, and see what alignment gains.

A trial compares options on one's own data (``run_trial``). A study is a grid of trials with their probes:
``read_plan`` reads what it spans, ``run_study`` runs what is left of it, ``study_status`` says how far it
is, ``compile_study`` makes its records and signals a table of evidence, and ``pack_study`` writes a folder
that runs it elsewhere.

Importing this package loads neither torch nor transformers; what runs something does when it is called.
"""

from advisor.study._compile import compile_study, curve_of
from advisor.study._pack import pack_study
from advisor.study._plan import example_plan, read_plan, write_example
from advisor.study._record import Record, Records, archive_study, read_record, read_records
from advisor.study._run_once import precision_on, training_on
from advisor.study._runner import run_study
from advisor.study._status import overview, study_status
from advisor.study._workers import Workers, joblib_backend, one_at_a_time
from advisor.study.trial.result import OptionResult, TrialResult, summarise
from advisor.study.trial.run import DEFAULT_OPTIONS, ConsoleWatcher, Watcher, run_trial

__all__ = [
    "DEFAULT_OPTIONS",
    "ConsoleWatcher",
    "OptionResult",
    "Record",
    "Records",
    "TrialResult",
    "Watcher",
    "Workers",
    "archive_study",
    "compile_study",
    "curve_of",
    "example_plan",
    "joblib_backend",
    "one_at_a_time",
    "overview",
    "pack_study",
    "precision_on",
    "read_plan",
    "read_record",
    "read_records",
    "run_study",
    "run_trial",
    "study_status",
    "summarise",
    "training_on",
    "write_example",
]

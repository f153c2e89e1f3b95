"""Real runs: align, fine-tune and evaluate, and see what alignment gains.

A trial compares options on one's own data (``run_trial``). A study is a grid of trials with their probes:
``read_plan`` reads what it spans, ``run_study`` runs what is left of it, ``study_status`` says how far it
is, ``compile_study`` makes its records and signals a table of evidence, and ``pack_study`` writes a folder
that runs it elsewhere.

Importing this package loads neither torch nor transformers; what runs something does when it is called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advisor.study._archive import archive_study, read_records, read_signals
    from advisor.study._compile import CompileReport, compile_study
    from advisor.study._console import ConsoleWatcher
    from advisor.study._device import precision_on, training_on
    from advisor.study._example import example_plan
    from advisor.study._overview import overview
    from advisor.study._pack import PackReport, pack_study
    from advisor.study._plan import Plan, read_plan, write_example, write_plan
    from advisor.study._record import Configuration, CurvePoint, Record, Records, Scores, read_record
    from advisor.study._result import OptionResult, RunSummary, TrialResult, summarise
    from advisor.study._runner import run_study
    from advisor.study._status import StudyStatus, study_status
    from advisor.study._watch import SilentWatcher, Watcher
    from advisor.study.trial import DEFAULT_OPTIONS, run_trial

__all__ = [
    "DEFAULT_OPTIONS",
    "CompileReport",
    "Configuration",
    "ConsoleWatcher",
    "CurvePoint",
    "OptionResult",
    "PackReport",
    "Plan",
    "Record",
    "Records",
    "RunSummary",
    "Scores",
    "SilentWatcher",
    "StudyStatus",
    "TrialResult",
    "Watcher",
    "archive_study",
    "compile_study",
    "example_plan",
    "overview",
    "pack_study",
    "precision_on",
    "read_plan",
    "read_record",
    "read_records",
    "read_signals",
    "run_study",
    "run_trial",
    "study_status",
    "summarise",
    "training_on",
    "write_example",
    "write_plan",
]

_MODULES = {
    "_archive": ("archive_study", "read_records", "read_signals"),
    "_compile": ("CompileReport", "compile_study"),
    "_console": ("ConsoleWatcher",),
    "_pack": ("PackReport", "pack_study"),
    "_example": ("example_plan",),
    "_overview": ("overview",),
    "_plan": ("Plan", "read_plan", "write_example", "write_plan"),
    "_device": ("precision_on", "training_on"),
    "_record": ("Configuration", "CurvePoint", "Record", "Records", "Scores", "read_record"),
    "_result": ("OptionResult", "RunSummary", "TrialResult", "summarise"),
    "_runner": ("run_study",),
    "_status": ("StudyStatus", "study_status"),
    "_watch": ("SilentWatcher", "Watcher"),
    "trial": ("DEFAULT_OPTIONS", "run_trial"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
"""Where each name is from. The command line should not wait for all of them before it answers."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

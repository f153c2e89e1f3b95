"""What is known of objectives, task levels, tasks and signals without running any of them.

Whatever needs such a fact asks here: option space, command line, HTTP schema, page, recipe, readers, findings
and card. Nothing in this package imports torch.

- :data:`OBJECTIVES`: alignment losses; a new one is an entry here and a module in :mod:`probes.objectives`.
- :data:`LEVELS`, :data:`METRICS`, :data:`TASKS`: a new task is an entry; a new level is an entry here and a
  module in :mod:`probes.tasks`.
- :data:`SIGNALS`: numbers that a probe yields; a new one is an entry with the function that reads it.
"""

from probes.catalogue._registry import Registry
from probes.catalogue.objectives import OBJECTIVES, Objective, ObjectiveKind
from probes.catalogue.signals import SIGNALS, Reading, Signal, value_of
from probes.catalogue.tasks import LEVELS, METRICS, TASKS, Level, Metric, Task

__all__ = [
    "LEVELS",
    "METRICS",
    "OBJECTIVES",
    "SIGNALS",
    "TASKS",
    "Level",
    "Metric",
    "Objective",
    "ObjectiveKind",
    "Reading",
    "Registry",
    "Signal",
    "Task",
    "value_of",
]

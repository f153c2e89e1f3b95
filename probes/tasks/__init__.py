"""Levels of tasks, a module each: how their tasks are learned and scored.

A new level is one new module here, a class with what :class:`TaskLevel` asks for, decorated with
:func:`register`, and an entry in :data:`probes.catalogue.LEVELS`.
"""

from importlib import import_module
from pkgutil import iter_modules

from probes.tasks._level import Answers, Cases, Projection, TaskLevel, Unlabelled, level_called, register

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):
        import_module(f"{__name__}.{_module.name}")

__all__ = ["Answers", "Cases", "Projection", "TaskLevel", "Unlabelled", "level_called", "register"]

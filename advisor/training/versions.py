"""Versions of what decides the numbers of a run."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["versions"]

_PACKAGES = ("alignment-advisor", "torch", "transformers", "accelerate", "scikit-learn", "numpy")


def versions() -> dict[str, str]:
    """Of Python and the packages; ``unknown`` for one that is not installed, such as a source tree."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found

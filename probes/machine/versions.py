"""What decides a run's numbers beside its data: Python and the libraries."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version


def library_versions() -> dict[str, str]:
    """Versions of Python, the system and the packages that compute."""
    versions = {"python": ".".join(map(str, sys.version_info[:3])), "os": os.uname().sysname}
    for package in ("alignment-advisor", "torch", "transformers", "accelerate", "scikit-learn", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions

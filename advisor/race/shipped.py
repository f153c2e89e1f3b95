"""The error model that comes along: fitted to the shipped runs at first use, then kept in the cache."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

from advisor import findings
from advisor.files import replacement
from advisor.race.errors import ErrorModel
from advisor.race.fit import fit_errors
from advisor.race.recorded import traces_of
from advisor.race.traces import Trace
from advisor.study import read_records

__all__ = ["shipped_errors", "shipped_traces"]


def shipped_traces() -> list[Trace]:
    """The cells of the studies that the findings rest on."""
    studies = sorted((Path(findings.__file__).parent / "study").glob("*.study.xz"))
    return traces_of(record for study in studies for record in read_records(study))


@lru_cache(maxsize=1)
def shipped_errors() -> ErrorModel:
    """What looks tell, as the shipped studies have it; takes seconds the first time."""
    traces = shipped_traces()
    code = hashlib.sha256(repr([sorted(trace.gains.items()) for trace in traces]).encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        code.update(module.read_bytes())
    path = user_cache_path("alignment-advisor") / f"race-{code.hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, TypeError):
        return ErrorModel(**json.loads(path.read_text(encoding="utf-8")))
    errors = fit_errors(traces)
    with suppress(OSError):  # a cache that cannot be written costs time, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as new:
            new.write_text(json.dumps(asdict(errors)), encoding="utf-8")
    return errors

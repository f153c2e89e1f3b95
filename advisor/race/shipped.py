"""The error model that comes along: fitted to the shipped runs at first use, then kept in the cache."""

import hashlib
import json
from collections.abc import Sequence
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

_FITTED = Path(__file__).with_name("fitted.json")


def shipped_traces() -> list[Trace]:
    """The cells of the studies that the findings rest on."""
    studies = sorted((Path(findings.__file__).parent / "study").glob("*.study.xz"))
    return traces_of(record for study in studies for record in read_records(study))


@lru_cache(maxsize=1)
def shipped_errors() -> ErrorModel:
    """What looks tell, as the shipped studies have it.

    It comes fitted; where records or the model have changed since, it is fitted anew (half a minute) and kept
    in the user's cache. ``python -m advisor.race.shipped`` renews what comes along.
    """
    traces = shipped_traces()
    key = _key(traces)
    path = user_cache_path("alignment-advisor") / f"race-{key}.json"
    for place in (_FITTED, path):
        with suppress(OSError, ValueError, TypeError, KeyError):
            fitted = json.loads(place.read_text(encoding="utf-8"))
            if fitted["key"] == key:
                return ErrorModel(**fitted["errors"])
    errors = fit_errors(traces)
    with suppress(OSError):  # a cache that cannot be written costs time, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, key, errors)
    return errors


def _key(traces: Sequence[Trace]) -> str:
    """Of what the fit depends on."""
    key = hashlib.sha256(repr([sorted(trace.gains.items()) for trace in traces]).encode())
    for name in ("errors.py", "fit.py"):
        key.update(Path(__file__).with_name(name).read_bytes())
    return key.hexdigest()[:16]


def _write(path: Path, key: str, errors: ErrorModel) -> None:
    with replacement(path) as new:
        new.write_text(json.dumps({"key": key, "errors": asdict(errors)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    found = shipped_traces()
    _write(_FITTED, _key(found), fit_errors(found))

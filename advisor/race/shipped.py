"""The runs of the studies that the findings rest on, and the error model fitted to them."""

from functools import lru_cache
from pathlib import Path

from advisor import findings
from advisor.race.errors import ErrorModel
from advisor.race.fit import fit_errors
from advisor.race.recorded import traces_of
from advisor.race.traces import Trace
from advisor.study import read_records


def shipped_traces() -> list[Trace]:
    """The cells of the studies that the findings rest on."""
    studies = sorted((Path(findings.__file__).parent / "study").glob("*.study.xz"))
    return traces_of(record for study in studies for record in read_records(study))


@lru_cache(maxsize=1)
def shipped_errors() -> ErrorModel:
    """What looks tell, as the shipped studies have it; a few seconds at first use."""
    return fit_errors(shipped_traces())

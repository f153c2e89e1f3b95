"""``advisor probe``"""

from pathlib import Path

from advisor.cli._options import AnswerFolder, Debug, Json, asking
from advisor.cli._run import probe_and_answer
from probes.request import ProbeRequest

__all__ = ["probe"]


@asking()
def probe(
    request: ProbeRequest,
    out: AnswerFolder = Path("advice"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure your model for a language pair and a task, and advise."""
    probe_and_answer(request, out, as_json)

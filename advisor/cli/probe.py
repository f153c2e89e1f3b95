"""``advisor probe``"""

from pathlib import Path

from advisor.cli._options import AnswerFolder, Debug, DryRun, Json, asking
from advisor.cli._run import only_read, probe_and_answer
from probes.request import ProbeRequest


@asking()
def probe(
    request: ProbeRequest,
    out: AnswerFolder = Path("advice"),
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure your model for a language pair and a task, and advise."""
    if dry_run:
        only_read(request, as_json)
    else:
        probe_and_answer(request, out, as_json)

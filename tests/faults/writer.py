"""A process that writes a report into one folder, over and over, until it is killed."""

import sys
from itertools import cycle

from advisor.files import write_files
from advisor.report._report import Report
from tests.factories import make_advice, make_signals

contents = [
    {
        "advice.json": report.advice.model_dump_json(indent=2),
        "signals.json": report.signals.model_dump_json(indent=2) if report.signals else None,
        "report.html": report.to_html(),
        "recipe/recipe.yaml": f"model: bundled\nseed: {seed}\n" * (1 + 50 * seed),
    }
    for seed, report in enumerate(
        (Report(make_advice(), make_signals()), Report(make_advice(), make_signals(layers=4)))
    )
]
print("writing", flush=True)
for files in cycle(contents):
    write_files(sys.argv[1], files)

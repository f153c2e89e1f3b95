"""Fuzz one reader for a while: ``python -m tests.fuzz READER [--seconds N]``.

Needs the extra ``fuzz``. The inputs in ``tests/fuzz/corpus`` are where it starts; what it finds on top
goes to ``--keep``, and an input that breaks the reader to the working directory.
"""

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fuzz until the time is up or something breaks; the last line says how many inputs were tried."""
    import atheris

    with atheris.instrument_imports(include=["probes", "advisor", "conllu", "langcodes", "translate"]):
        from tests.fuzz.targets import CORPUS, TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("reader", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="Folder for inputs that reach code no other does.")
    chosen = parser.parse_args()
    found = chosen.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={chosen.seconds}",
        "-max_len=4096",
        "-rss_limit_mb=4096",  # a few bytes must not make a reader ask for gigabytes
        "-timeout=60",  # nor keep it busy; by the clock, so that other work must not look like it
        f"-artifact_prefix=crash-{chosen.reader}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / chosen.reader)], TARGETS[chosen.reader])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

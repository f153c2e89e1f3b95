"""What a probe is asked for, as plain values that any front end can make."""

from dataclasses import dataclass

from probes.data import Columns

__all__ = ["ProbeRequest"]


@dataclass(frozen=True)
class ProbeRequest:
    """What to probe. Paths and ``hf:`` data-set names are as on the command line.

    Attributes:
        model: ``bundled``, ``bundled-enpt``, a folder or a hub id.
        source, target: languages in any common form of code.
        task: a name from :data:`probes.catalogue.TASKS`.
        train: labelled source-language data.
        bitext: translation pairs, source language first.
        target_labels: labelled target-language data; a hundred sentences do.
        dictionary: a bilingual dictionary to align words with.
        word_links: a Pharaoh file of word links, one line a pair of the bitext.
        columns: names of table columns, where they are not the usual ones.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: of the passes: ``auto``, ``fp32`` or ``bf16``.
        seed: of all sampling.
    """

    model: str
    source: str
    target: str
    task: str
    train: str
    bitext: str
    target_labels: str | None = None
    dictionary: str | None = None
    word_links: str | None = None
    columns: Columns | None = None
    budget: str = "standard"
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0

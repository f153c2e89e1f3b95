"""Public data for a question: labelled sets and bitexts, from a table in the package, without a network.

``find_data`` says for a pair of languages and a task what there is, how large it is, under which licence,
and how ``--train``, ``--target-labels`` and ``--bitext`` name it. ``tables/README.md`` says where the rows
are from.
"""

from advisor.corpora._find import Dataset, PublicData, Role, find_data

__all__ = ["Dataset", "PublicData", "Role", "find_data"]

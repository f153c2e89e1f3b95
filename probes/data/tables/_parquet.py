"""Parquet."""

import json
from collections.abc import Iterator, Mapping, Sequence

from probes.data._records import Dropped
from probes.data.files import InputFile
from probes.data.tables._table import Row, Table, class_names, columns_of
from probes.errors import InputError


def read_parquet(file: InputFile) -> Table:
    """Parquet; names of integer labels come from the features that ``datasets`` stores with the schema.

    Raises:
        InputError: if it is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # names that are not UTF-8, and dates beyond Python's, surface as Python's own errors
    damaged = (pa.ArrowException, OSError, ValueError, OverflowError)
    try:
        parquet = pq.ParquetFile(file.seekable())
        schema = parquet.schema_arrow
        columns = tuple(columns_of(schema.empty_table().to_pydict()))
    except damaged as error:
        raise InputError(f"{file.spec} is not a readable Parquet file: write it again.") from error

    def rows() -> Iterator[Row | Dropped]:
        left = file.most
        try:
            for batch in parquet.iter_batches(batch_size=1024):
                left -= batch.nbytes
                if left < 0:
                    raise InputError(f"{file.spec} holds far more than its size lets expect: write it anew.")
                yield from batch.to_pylist()
        except InputError:
            raise
        except damaged as error:
            raise InputError(f"{file.spec} is a damaged Parquet file: write it again.") from error

    return Table(file.spec, columns, rows(), _stored_label_names(schema.metadata or {}))


def _stored_label_names(metadata: Mapping[bytes, bytes]) -> dict[str, Sequence[str]]:
    try:
        return class_names(json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}

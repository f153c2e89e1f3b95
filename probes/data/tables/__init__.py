"""Tables: rows with named columns from TSV, CSV, JSON, Parquet or a data set, and examples from them."""

from probes.data.tables._delimited import csv_cells, read_csv, read_tsv, split_lines
from probes.data.tables._json import read_json
from probes.data.tables._labelled import labelled_rows
from probes.data.tables._parquet import read_parquet
from probes.data.tables._table import Columns, Row, Table, cell, class_names

__all__ = [
    "Columns",
    "Row",
    "Table",
    "cell",
    "class_names",
    "csv_cells",
    "labelled_rows",
    "read_csv",
    "read_json",
    "read_parquet",
    "read_tsv",
    "split_lines",
]

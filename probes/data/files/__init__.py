"""Files as a user names them: found, unpacked, decoded, line by line."""

from probes.data.files._file import (
    MAX_LINE,
    OVERLONG,
    InputFile,
    expand,
    is_folder,
    joint_sha256,
    open_file,
    split_spec,
)

__all__ = [
    "MAX_LINE",
    "OVERLONG",
    "InputFile",
    "expand",
    "is_folder",
    "joint_sha256",
    "open_file",
    "split_spec",
]

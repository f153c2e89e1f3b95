"""Files as validated streams of lines."""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from probes.data._records import Dropped
from probes.errors import InputError, MissingDataError

__all__ = ["MAX_LINE", "OVERLONG", "InputFile", "joint_sha256", "open_file"]

MAX_LINE = 1_000_000
"""Longest line that is kept, in characters; no sentence comes near it, but minified or binary files do."""

OVERLONG = f"line over {MAX_LINE:,} characters"

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that exists, can be read and is not empty.

    Attributes:
        path: where it is.
        spec: how the user wrote it, for messages.
        sha256: of its bytes.
    """

    path: Path
    spec: str
    sha256: str

    def head(self, size: int) -> bytes:
        """The first ``size`` bytes."""
        with self.path.open("rb") as stream:
            return stream.read(size)

    def lines(self) -> Iterator[str | Dropped]:
        r"""Its lines without their ends (``\n`` or ``\r\n``), decoded from UTF-8 or, with a BOM, UTF-16.

        Only ``\n`` ends a line: text may hold the other characters that ``str.splitlines`` cuts at.

        Yields:
            Each line, or :class:`Dropped` in the place of one longer than ``MAX_LINE``.

        Raises:
            InputError: where the bytes are not in that encoding, or hold a NUL.
        """
        pending, overlong = "", False
        for text in self._decoded():
            *complete, rest = (pending + text).split("\n")
            for line in complete:
                yield Dropped(OVERLONG) if overlong or len(line) > MAX_LINE else line.removesuffix("\r")
                overlong = False
            overlong = overlong or len(rest) > MAX_LINE
            pending = "" if overlong else rest
        if pending or overlong:
            yield Dropped(OVERLONG) if overlong else pending.removesuffix("\r")

    def _decoded(self) -> Iterator[str]:
        encoding = "utf-16" if self.head(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        decoder = codecs.getincrementaldecoder(encoding)()
        with self.path.open("rb") as stream:
            end = False
            while not end:
                undecoded = len(decoder.getstate()[0])
                start = stream.tell() - undecoded
                chunk = stream.read(_CHUNK)
                end = not chunk
                try:
                    text = decoder.decode(chunk, final=end)
                except UnicodeDecodeError as error:
                    expected = "UTF-8" if encoding == "utf-8-sig" else "UTF-16"
                    raise InputError(
                        f"{self.spec} is not {expected} (first at byte {start + error.start}): "
                        "convert it, as in iconv -f LATIN1 -t UTF-8."
                    ) from error
                if "\0" in text:
                    raise InputError(
                        f"{self.spec} holds a NUL character near byte {start}, so it is binary or UTF-16 "
                        "without a byte order mark: save it as UTF-8 text."
                    )
                yield text


def open_file(spec: str | Path) -> InputFile:
    """Check that a path can be read, and hash what is there.

    Raises:
        InputError: if there is nothing, a directory or an empty file at that path, or it may not be read.
    """
    shown = str(spec) or "''"
    try:
        path = Path(spec).expanduser()
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            size = stream.tell()
    except FileNotFoundError as error:
        raise MissingDataError(f"There is no file {shown}: {_nearest(path)}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{shown} is a folder: name a file in it.") from error
    except (OSError, ValueError, RuntimeError) as error:  # not allowed, a NUL in the path, no such user
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot read {shown} ({reason}): check its path and permissions.") from error
    if size == 0:
        raise InputError(f"{shown} is empty: name a file with data in it.")
    return InputFile(path, shown, digest.hexdigest())


def joint_sha256(*files: InputFile) -> str:
    """The SHA-256 of the bytes of all files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _nearest(path: Path) -> str:
    try:
        siblings = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"the directory {path.parent} cannot be read either, so check the path"
    close = get_close_matches(path.name, siblings, n=1)
    return f"did you mean {close[0]}" if close else "check its path"

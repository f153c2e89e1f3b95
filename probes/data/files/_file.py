"""Files as a user names them, and as validated streams of lines."""

import codecs
import glob
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from probes.data._records import Dropped
from probes.data.files._unpack import Opener, most_of, open_raw, unpack
from probes.errors import InputError, MissingDataError

_HUB = "hf:"


def split_spec(spec: str, separator: str) -> list[str]:
    """The parts of a spec; a path that exists as it is written is one part.

    Raises:
        InputError: if a part is empty.
    """
    if _exists(spec):
        return [spec]
    parts = [part.strip() for part in spec.split(separator)]
    if not all(parts):
        raise InputError(f"'{spec}' has an empty part: write A{separator}B without spare '{separator}'.")
    return parts


def expand(spec: str, *, folders: bool = False) -> list[str]:
    """The files that one part of a spec stands for, in the order of their names.

    Args:
        spec: a path, a pattern such as ``data/*.tsv``, or a data set of the hub, which is left as it is.
        folders: whether a folder stands for the files in it.

    Raises:
        InputError: if a pattern matches nothing or a folder is empty.
    """
    if spec.startswith(_HUB):
        return [spec]
    if folders and is_folder(spec):
        found = [path for path in Path(spec).expanduser().iterdir() if _is_data(path)]
        if not found:
            raise InputError(f"{spec} is a folder without a file in it: name another, or a file.")
        return [str(path) for path in sorted(found)]
    if not any(character in spec for character in "*?[") or _exists(spec):
        return [spec]
    matches = [
        name for name in glob.glob(str(Path(spec).expanduser()), recursive=True) if _is_data(Path(name))
    ]
    if not matches:
        raise MissingDataError(
            f"There is no file {spec}, nor one that matches it as a pattern: check its path."
        )
    return sorted(matches)


def is_folder(spec: str) -> bool:
    """Whether there is a folder of that name."""
    return bool(spec.strip()) and _exists(spec) and Path(spec).expanduser().is_dir()


def _exists(spec: str) -> bool:
    try:
        return Path(spec).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _is_data(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


MAX_LINE = 1_000_000
"""Longest line that is kept, in characters; no sentence comes near it, but minified or binary files do."""

OVERLONG = f"line over {MAX_LINE:,} characters"

_CHUNK = 1 << 16


_ENCODINGS = {
    # the longer mark first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that exists, can be read and is not empty; where it is compressed, what is in it.

    Attributes:
        path: where it is.
        spec: how the user wrote it, for messages.
        sha256: of its bytes, as they are on the disk.
        name: what it, or the file in it, is called.
        unpacked: opens what is in it; None where it is not compressed.
    """

    path: Path
    spec: str
    sha256: str
    name: str
    unpacked: Opener | None = field(default=None, repr=False, compare=False)

    @property
    def suffix(self) -> str:
        """The ending of its name in lower case, without that of a compression."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def most(self) -> int:
        """Bytes that may come out of it; more is no data but a bomb."""
        return most_of(self.path)

    def open(self) -> io.BufferedReader:
        """Its bytes, unpacked, from the start."""
        return open_raw(self.path) if self.unpacked is None else self.unpacked()

    def head(self, size: int) -> bytes:
        """The first ``size`` bytes."""
        with self.open() as stream:
            return stream.read(size)

    def content(self) -> bytes:
        """All its bytes."""
        with self.open() as stream:
            return stream.read()

    def seekable(self) -> io.BufferedIOBase:
        """Its bytes for readers that jump about in them."""
        return open_raw(self.path) if self.unpacked is None else io.BytesIO(self.content())

    def text(self) -> str:
        """All its text, decoded as :meth:`lines` are."""
        return "".join(self._decoded())

    def lines(self) -> Iterator[str | Dropped]:
        r"""Its lines without their ends, decoded from UTF-8 or, with a BOM, UTF-16 or UTF-32.

        Only ``\n`` or ``\r\n`` ends a line: text may hold the other characters that ``str.splitlines`` cuts
        at. In a file without a single ``\n``, as old Macs wrote them, ``\r`` does.

        Yields:
            Each line, or :class:`Dropped` in the place of one longer than ``MAX_LINE``.

        Raises:
            InputError: where the bytes are not in that encoding, or hold a NUL.
        """
        pending, overlong, old = "", False, None
        for text in self._decoded():
            if old is None and text:
                old = "\r" in text[:-1] and "\n" not in text
            *complete, rest = (pending + (text.replace("\r", "\n") if old else text)).split("\n")
            for line in complete:
                yield Dropped(OVERLONG) if overlong or len(line) > MAX_LINE else line.removesuffix("\r")
                overlong = False
            overlong = overlong or len(rest) > MAX_LINE
            pending = "" if overlong else rest
        if pending or overlong:
            yield Dropped(OVERLONG) if overlong else pending.removesuffix("\r")

    def _decoded(self) -> Iterator[str]:
        head = self.head(4)
        encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), "utf-8-sig")
        decoder = codecs.getincrementaldecoder(encoding)()
        with self.open() as stream:
            end, done = False, 0
            while not end:
                start = done - len(decoder.getstate()[0])
                chunk = stream.read(_CHUNK)
                done += len(chunk)
                end = not chunk
                try:
                    text = decoder.decode(chunk, final=end)
                except UnicodeDecodeError as error:
                    expected = encoding.removesuffix("-sig").upper()
                    raise InputError(
                        f"{self.spec} is not {expected} (first at byte {start + error.start}): "
                        "convert it, as in iconv -f LATIN1 -t UTF-8."
                    ) from error
                if "\0" in text:
                    raise InputError(
                        f"{self.spec} holds a NUL character near byte {start}, so it is binary or UTF-16 "
                        "without a byte order mark: save it as UTF-8 text, as in iconv -f UTF-16LE -t UTF-8."
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
        names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        listed = f" ({', '.join(names[:5])}{' ...' if len(names) > 5 else ''})" if names else ""
        raise InputError(f"{shown} is a folder: name a file in it{listed}.") from error
    except (OSError, ValueError, RuntimeError) as error:  # not allowed, a NUL in the path, no such user
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot read {shown} ({reason}): check its path and permissions.") from error
    if size == 0:
        raise InputError(f"{shown} is empty: name a file with data in it.")
    unpacked, name = unpack(path, shown)
    file = InputFile(path, shown, digest.hexdigest(), name, unpacked)
    head = file.head(64).lstrip().lower()
    if not file.head(1):
        raise InputError(f"The file in {shown} is empty: name one with data in it.")
    if head.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{shown} is not data but a web page: download the file itself.")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{shown} is a pointer of Git LFS instead of the file: fetch it, as in git lfs pull."
        )
    return file


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

"""Compressed files as streams of what is in them."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from probes.errors import InputError

Opener = Callable[[], io.BufferedReader]
"""Opens a stream from its start."""

_FREE = 64 << 20
"""Bytes that may come out of any file, however small it is."""
_RATIO = 200
"""Beyond them, bytes that may come out for each that is there: text is compressed to a third or a tenth."""
_PEEKED = 512

_MAGIC: dict[str, bytes | tuple[bytes, ...]] = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!",
}
_ENDINGS = frozenset({".gz", ".gzip", ".bz2", ".bz", ".xz", ".zst", ".zstd"})


def most_of(path: Path) -> int:
    """Bytes that may come out of a file."""
    return max(_FREE, _RATIO * path.stat().st_size)


def open_raw(path: Path) -> io.BufferedReader:
    """The bytes of a file as they are."""
    return path.open("rb")


def unpack(path: Path, spec: str) -> tuple[Opener | None, str]:
    """How to open what is in a compressed file (None: it is not compressed), and what that is called.

    gzip, bzip2, xz and zstd are read as streams. Which of them it is follows from the content.

    Raises:
        InputError: if it is compressed in another way, several times over, or an archive.
    """
    kind = _kind(partial(open_raw, path))
    if kind is None:
        return None, path.name
    opener: Opener | None = None
    if kind in _STREAMS:
        opener = partial(_open_stream, kind, path, spec)
        kind = _kind(opener)
    if kind is not None:
        raise InputError(f"{spec} is compressed or an archive ({kind}): unpack it and name the file in it.")
    return opener, path.stem if path.suffix.lower() in _ENDINGS else path.name


def _kind(opener: Opener) -> str | None:
    """How what an opener gives is packed."""
    with opener() as stream:
        head = stream.read(_PEEKED)
    if head[257:262] == b"ustar":
        return "tar"
    kind = next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), None)
    return None if kind == "bzip2" and not head[3:4].isdigit() else kind  # text may begin so


def _zstd(stream: IO[bytes]) -> IO[bytes]:
    import pyarrow as pa

    return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


_STREAMS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": _zstd,
}


def _open_stream(kind: str, path: Path, spec: str) -> io.BufferedReader:
    return io.BufferedReader(_Unpacked(_STREAMS[kind](open_raw(path)), spec, most_of(path)), 1 << 16)


class _Unpacked(io.RawIOBase):
    """What comes out of a decompressor, up to a limit and with its errors in one sentence."""

    def __init__(self, inner: IO[bytes], spec: str, limit: int) -> None:
        self._inner, self._spec, self._left = inner, spec, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            part = self._inner.read(len(buffer))
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:  # pyarrow's too
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise InputError(
                f"{self._spec} is compressed and cannot be unpacked ({reason}): copy or compress it again."
            ) from error
        buffer[: len(part)] = part
        self._left -= len(part)
        if self._left < 0:
            raise InputError(
                f"{self._spec} holds far more than its size lets expect once unpacked: unpack it first."
            )
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()

"""Compressed files and archives of one file, as streams of what is in them."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from probes.errors import InputError

Opener = Callable[[], io.BufferedReader]
"""Opens a stream from its start."""

_LAYERS = 3
"""``.tar.gz`` has two; more than three is no data."""
_FREE = 64 << 20
"""Bytes that may come out of any file, however small it is."""
_RATIO = 200
"""Beyond them, bytes that may come out for each that is there: text is compressed to a third or a tenth."""
_PEEKED = 512

_MAGIC = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "zip": b"PK\x03\x04",
    "empty zip": b"PK\x05\x06",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!",
    "lz4": b"\x04\x22\x4d\x18",
    "lzip": b"LZIP",
    "compress": b"\x1f\x9d",
}
_ENDINGS = frozenset(
    {".gz", ".gzip", ".bz2", ".bz", ".xz", ".zst", ".zstd", ".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tbz"}
)


def most_of(path: Path) -> int:
    """Bytes that may come out of a file."""
    return max(_FREE, _RATIO * path.stat().st_size)


def open_raw(path: Path) -> io.BufferedReader:
    """The bytes of a file as they are."""
    return path.open("rb")


def unpack(path: Path, spec: str) -> tuple[Opener | None, str]:
    """How to open what is in a compressed file (None: it is not compressed), and what that is called.

    gzip, bzip2, xz and zstd are read as streams; zip and tar where they hold a single file. Which of them it
    is follows from the content.

    Raises:
        InputError: if it is compressed in another way, or is an archive of several files.
    """
    limit = most_of(path)
    opener: Opener = lambda: open_raw(path)  # noqa: E731 - replaced below by what unpacks it
    name = path.name
    for layer in range(_LAYERS):
        with opener() as stream:
            kind = _kind(stream.peek(_PEEKED)[:_PEEKED])
        if kind is None:
            return (opener if layer else None), name
        opener, name = _peel(kind, opener, name, spec, limit)
    raise InputError(f"{spec} is compressed several times over: unpack it.")


def _kind(head: bytes) -> str | None:
    if head[257:262] == b"ustar":
        return "tar"
    kind = next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), None)
    if kind == "bzip2" and not head[3:4].isdigit():
        return None  # text that begins so
    return kind


def _peel(kind: str, opener: Opener, name: str, spec: str, limit: int) -> tuple[Opener, str]:
    if kind in _STREAMS:
        unpacked = _STREAMS[kind]
        return _stream(lambda: unpacked(opener()), spec, limit), _bare(name)
    if kind == "zip":
        member = _only_member(_zip_members(opener, spec), spec)
        return _stream(lambda: _zip_member(opener, member), spec, limit), PurePosixPath(member).name
    if kind == "tar":
        member = _only_member(_tar_members(opener, spec), spec)
        return _stream(lambda: _tar_member(opener, member), spec, limit), PurePosixPath(member).name
    raise InputError(f"{spec} is compressed ({kind}): unpack it and name the file in it.")


def _bare(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in _ENDINGS else name


def _zstd(stream: IO[bytes]) -> IO[bytes]:
    import pyarrow as pa

    return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


_STREAMS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": _zstd,
}


_DAMAGED = (
    # pyarrow's errors are ValueErrors and OSErrors; zipfile says RuntimeError of a password, and
    # NotImplementedError of a way of compressing that it does not read
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError, LookupError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)


@contextmanager
def _told(spec: str) -> Iterator[None]:
    """Say in one sentence what a decompressor makes of a damaged file."""
    try:
        yield
    except InputError:  # told already, of what is around it
        raise
    except _DAMAGED as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"{spec} is compressed and cannot be unpacked ({reason}): copy or compress it again."
        ) from error


class _Unpacked(io.RawIOBase):
    """What comes out of a decompressor, up to a limit and with its errors in one sentence."""

    def __init__(self, inner: IO[bytes], spec: str, limit: int) -> None:
        self._inner, self._spec, self._left = inner, spec, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = 0
        with _told(self._spec):
            while size < len(buffer):
                part = self._inner.read(len(buffer) - size)
                if not part:
                    break
                buffer[size : size + len(part)] = part
                size += len(part)
        self._left -= size
        if self._left < 0:
            raise InputError(
                f"{self._spec} holds far more than its size lets expect once unpacked: unpack it first."
            )
        return size

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


def _stream(unpacked: Callable[[], IO[bytes]], spec: str, limit: int) -> Opener:
    def opened() -> io.BufferedReader:
        with _told(spec):
            inner = unpacked()
        return io.BufferedReader(_Unpacked(inner, spec, limit), 1 << 16)

    return opened


def _zip_members(opener: Opener, spec: str) -> list[str]:
    with _told(spec), opener() as stream, zipfile.ZipFile(stream) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos if not info.is_dir()]  # fails where a name is empty
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise InputError(f"{spec} is an office document: save its table as CSV or TSV.")
    if any(info.flag_bits & 1 for info in infos):
        raise InputError(f"{spec} is compressed under a password: unpack it and name the file in it.")
    return names


def _zip_member(opener: Opener, name: str) -> IO[bytes]:
    archive = zipfile.ZipFile(opener())
    return archive.open(name)


def _tar_members(opener: Opener, spec: str) -> list[str]:
    with _told(spec), opener() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        return [member.name for member in archive if member.isfile()]


def _tar_member(opener: Opener, name: str) -> IO[bytes]:
    archive = tarfile.open(fileobj=opener(), mode="r|")  # noqa: SIM115 - closed with the stream it is read from
    for member in archive:
        if member.name == name and member.isfile():
            return cast(IO[bytes], archive.extractfile(member))
    raise EOFError(f"{name} is not there any more")


def _only_member(names: list[str], spec: str) -> str:
    members = [
        name for name in names if not name.startswith("__MACOSX") and PurePosixPath(name).name[:1] != "."
    ]
    if len(members) != 1:
        listed = ", ".join(members[:5]) + (" ..." if len(members) > 5 else "")
        raise InputError(
            f"{spec} is compressed and holds {len(members)} files{f' ({listed})' if members else ''}: "
            "unpack it and name the file."
        )
    return members[0]

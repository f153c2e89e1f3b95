"""Writing a set of files into a folder so that each is afterwards either as before or new."""

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from probes.errors import InputError, RunError

_NEEDED = 16 << 20
"""Bytes that a report with its signals and recipe may take, several times over."""

# What the caller can cure by naming another folder; everything else is the machine's.
_USERS_ERRORS = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
    }
)


def check_output(directory: str | Path, needed: int = _NEEDED) -> None:
    """Find out before a long run whether results of so many bytes can be written to ``directory``.

    Nothing is created. A disk that fills up or turns read-only later still fails when writing.

    Raises:
        InputError: if the path is a file, lies below one, may not be written to, or has too little space.
    """
    directory = Path(directory)
    with _told(directory):
        existing = _nearest_existing(directory)
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{existing} is a file")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write in {existing}")
        free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(
            f"{directory} has {free / 2**20:.0f} MiB free where about {needed / 2**20:.0f} are needed: free "
            "some, or name a folder on another disk."
        )


@contextmanager
def reserved(directory: str | Path, needed: int = _NEEDED) -> Iterator[None]:
    """``directory``, checked as by :func:`check_output`, for one run alone.

    Raises:
        InputError: if results cannot be written there, or another run is at it.
    """
    check_output(directory, needed)
    name = hashlib.sha256(str(Path(directory).resolve()).encode()).hexdigest()[:16]
    lock = Path(tempfile.gettempdir()) / f"advisor-{name}.lock"
    try:
        handle = _locked(lock)
    except BlockingIOError as error:
        raise InputError(
            f"Another run is writing to {directory}: wait for it, or name another folder with --out."
        ) from error
    except (ImportError, OSError):  # no such locks here, or another user's: nothing can be told
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # while it is still held, so that it is nobody else's
        os.close(handle)


def _locked(path: Path) -> int:
    """A handle that holds the lock of a file, which is made if need be.

    Raises:
        BlockingIOError: if another process holds it.
    """
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # whoever held it has removed it since it was opened
        except OSError:
            os.close(handle)
            raise
        os.close(handle)


def rescued(write: Callable[[Path], object]) -> Path | None:
    """Where results that took long could be written after all; None if nowhere.

    Args:
        write: writes them into a folder.
    """
    for place in (Path(tempfile.gettempdir()), Path.home()):
        try:
            folder = Path(tempfile.mkdtemp(prefix="advisor-", dir=place))
            write(folder)
        except (OSError, InputError, RunError):
            continue
        return folder
    return None


def write_or_rescue(directory: Path, write: Callable[[Path], object]) -> None:
    """Write results that took long into ``directory``.

    Raises:
        InputError, RunError: if that fails; the message says where they were written instead.
    """
    try:
        write(directory)
    except (InputError, RunError) as error:
        place = rescued(write)
        where = f"what was measured last is in {place}" if place else "what was measured last is lost"
        raise type(error)(f"{str(error).rstrip('.')}; {where}.") from error


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to; what is there at the end takes the place of ``path`` in one go.

    No reader and no crash ever meets half a file. If the context is left by an error, nothing has changed.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder that becomes ``folder`` if all goes well, and goes away if not.

    Raises:
        InputError: if ``folder`` is there already or cannot be made, before anything runs.
        RunError: if the disk fails.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already: name another folder.")
    hidden = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        hidden.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"Cannot create {folder} ({error.strerror or error}): name a folder you may write to."
        ) from error
    try:
        yield hidden
        hidden.rename(folder)
    except OSError as error:
        raise RunError(
            f"Writing {folder} failed ({error.strerror or error}): free or change the disk and run again."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def write_files(directory: str | Path, files: Mapping[str, str | bytes | None]) -> tuple[Path, ...]:
    """Write ``files`` into ``directory``, which is created where it does not exist.

    Everything is first written and synced to a hidden folder on the same file system and then moved into
    place file by file, so that no reader and no crash ever meets half a file. If anything fails before
    the first move, nothing has changed; the hidden folder goes in any case.

    Args:
        directory: where to. Files that are already there and not named stay as they are.
        files: content by path relative to ``directory``, with forward slashes; text is written as UTF-8.
            None removes the file of that name, which an earlier run may have left.

    Returns:
        The files written, in the order given.

    Raises:
        InputError: if the path is a file, lies below one, or may not be written to.
        RunError: if the disk is full, read-only or broken.
        ValueError: if a relative path leads out of ``directory``.
    """
    directory = Path(directory)
    contents = {
        _inside(name): content.encode() if isinstance(content, str) else content
        for name, content in files.items()
    }
    check_output(directory, needed=0)
    with _told(directory):
        if directory.is_dir():
            # Beside the files: the folder may be a mount point, and its parent may be closed to us.
            with _hidden_folder(directory) as staging:
                _fill(staging, contents)
                _move(staging, directory, contents)
        else:
            with _created(directory.parent), _hidden_folder(directory.parent) as staging:
                _fill(staging, contents)
                staging.rename(directory)
                _sync(directory.parent)
    return tuple(directory / path for path, content in contents.items() if content is not None)


_Contents = Mapping[PurePosixPath, bytes | None]


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError(f"{name!r} does not lie inside the output folder")
    return path


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    return next(place for place in (path, *path.parents) if _exists(place))


def _exists(place: Path) -> bool:
    """Whether anything has that name; unlike :func:`os.path.lexists`, a name that cannot be is an error."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except ValueError as error:  # a NUL in it
        raise OSError(errno.EINVAL, str(error)) from error
    return True


def _fill(staging: Path, contents: _Contents) -> None:
    for path, content in contents.items():
        if content is not None:
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            with (staging / path).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())


def _move(staging: Path, directory: Path, contents: _Contents) -> None:
    for target in (directory / path for path in contents):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{target} is a folder")
        if not _nearest_existing(target.parent).is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{target.parent} is a file")
    for path, content in contents.items():
        if content is None:
            (directory / path).unlink(missing_ok=True)
        else:
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(directory / path)
    for folder in {directory, *((directory / path).parent for path in contents)}:
        if folder.is_dir():
            _sync(folder)


@contextmanager
def _hidden_folder(parent: Path) -> Iterator[Path]:
    # Not tempfile.mkdtemp: its folder is closed to the group, and this one may become the result.
    folder = parent / f".advisor-{secrets.token_hex(6)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _created(directory: Path) -> Iterator[None]:
    """``directory`` with its parents; those that were made here go again if the body fails."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    made: list[Path] = []
    try:
        for place in reversed(missing):
            place.mkdir(exist_ok=True)
            made.append(place)
        yield
    except BaseException:
        for place in reversed(made):
            if not any(place.iterdir()):
                place.rmdir()
        raise


def _sync(folder: Path) -> None:
    """Make a rename last through a crash; Windows has no handle for a folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    """Turn what the operating system says into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _USERS_ERRORS:
            raise InputError(
                f"Cannot write to {directory} ({reason}): name a folder you may write to."
            ) from error
        raise RunError(
            f"Writing to {directory} failed ({reason}): free or change the disk and run again; "
            "no file was left half-written."
        ) from error

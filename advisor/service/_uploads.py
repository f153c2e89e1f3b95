"""Files that visitors send, while no run has them."""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from probes.errors import InputError

UPLOAD_PREFIX = "upload:"
_UPLOAD_HOURS = 24
"""How long an upload waits to be used."""
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file a visitor sent.

    Attributes:
        id: to name it by, as ``upload:ID``; nobody can guess it.
        name: as the visitor called it, without what a path or a spec could trip over.
        size: in bytes.
    """

    id: str
    name: str
    size: int
    path: Path

    @property
    def spec(self) -> str:
        """How a request names it."""
        return UPLOAD_PREFIX + self.id


class UploadStore:
    """The uploads below one folder.

    Args:
        root: the folder; only its owner may read what is in it.
    """

    def __init__(self, root: Path) -> None:
        self._uploads = root / "uploads"
        self._uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep_uploads(_UPLOAD_HOURS * 3600)

    def save_upload(self, session: str, name: str, chunks: Iterable[bytes], most: int) -> Upload:
        """Keep a file for ``session``, for a day or until a run takes it.

        Args:
            session: whose it is; no other session can name it.
            name: as the visitor calls it; only its ending matters, for the format.
            chunks: the content.
            most: bytes allowed.

        Raises:
            InputError: if there are more, or none.
        """
        self.sweep_uploads(_UPLOAD_HOURS * 3600)
        folder = self._uploads / owner_of(session) / secrets.token_hex(16)
        folder.mkdir(mode=0o700, parents=True)
        path = folder / safe_name(name)
        size = 0
        try:
            with path.open("xb") as file:
                for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise InputError(
                            f"{safe_name(name)} is larger than {most / 2**20:g} MiB, the most that may be "
                            "uploaded here: send a part of it, a probe uses a few thousand lines."
                        )
                    file.write(chunk)
            if not size:
                raise InputError(f"{safe_name(name)} is empty: send a file with data in it.")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Upload(folder.name, path.name, size, path)

    def upload(self, session: str, upload_id: str) -> Upload:
        """The upload ``session`` knows by that id.

        Raises:
            InputError: if it has none.
        """
        if _UPLOAD_ID.fullmatch(upload_id):
            folder = self._uploads / owner_of(session) / upload_id
            for path in folder.iterdir() if folder.is_dir() else ():
                return Upload(upload_id, path.name, path.stat().st_size, path)
        raise InputError("There is no such upload (any more): send the file again.")

    def give_back(self, owner: str, folder: Path) -> None:
        """Keep the uploads that a run had in ``folder`` for as long again as if they had just been sent."""
        for upload in folder.iterdir() if folder.is_dir() else ():
            place = self._uploads / owner / upload.name
            with suppress(OSError):
                place.parent.mkdir(mode=0o700, exist_ok=True)
                upload.rename(place)
                os.utime(place)

    def remove_upload(self, session: str, upload_id: str) -> None:
        """Forget an upload."""
        self.remove_upload_of(owner_of(session), upload_id)

    def remove_upload_of(self, owner: str, upload_id: str) -> None:
        """Forget an upload of the session with that digest."""
        if _UPLOAD_ID.fullmatch(upload_id):
            shutil.rmtree(self._uploads / owner / upload_id, ignore_errors=True)

    def sweep_uploads(self, seconds: float) -> None:
        """Remove the uploads that have waited longer than ``seconds``."""
        for folder in self._uploads.glob("*/*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > seconds:
                    shutil.rmtree(folder)
        for folder in self._uploads.iterdir():
            with suppress(OSError):  # still has uploads
                folder.rmdir()


def owner_of(session: str) -> str:
    """A name for a session that does not give the session away."""
    return hashlib.sha256(session.encode()).hexdigest()[:24]


def safe_name(name: str) -> str:
    """A file name without folders, blanks, and the ``+`` and ``,`` that join the parts of a bitext.

    Of a long one the end is kept, with the ending; no file system takes more than 255 bytes.
    """
    last = re.split(r"[/\\]", name)[-1]
    safe = _UNSAFE.sub("_", last)[-100:].encode()[-200:].decode(errors="ignore").strip("._-")
    return safe or "upload"

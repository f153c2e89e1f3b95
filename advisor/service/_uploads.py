"""Files that visitors send, and for how long they are kept."""

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from advisor.sample import sample_path
from probes.errors import InputError

UPLOAD_PREFIX = "upload:"
_UPLOAD_SECONDS = 24 * 3600
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

    def save_upload(self, session: str, name: str, chunks: Iterable[bytes], most: int) -> Upload:
        """Keep a file for ``session``, which alone can name it, until a day after it was last used.

        Raises:
            InputError: if it has more than ``most`` bytes, or none.
        """
        folder = self.uploads_of(owner_of(session)) / secrets.token_hex(16)
        folder.mkdir(mode=0o700, parents=True)
        path = folder / safe_name(name)
        size = 0
        try:
            with path.open("xb") as file:
                for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise InputError(
                            f"{path.name} is larger than {most / 2**20:g} MiB, the most that may be "
                            "uploaded here: send a part of it, a probe uses a few thousand lines."
                        )
                    file.write(chunk)
            if not size:
                raise InputError(f"{path.name} is empty: send a file with data in it.")
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
            folder = self.uploads_of(owner_of(session)) / upload_id
            for path in folder.iterdir() if folder.is_dir() else ():
                return Upload(upload_id, path.name, path.stat().st_size, path)
        raise InputError("There is no such upload (any more): send the file again.")

    def uploads_of(self, owner: str) -> Path:
        """The folder of the uploads of the session with that digest."""
        return self._uploads / owner

    def remove_uploads(self, owner: str, upload_ids: Iterable[str]) -> None:
        """Forget uploads of the session with that digest."""
        for upload_id in filter(_UPLOAD_ID.fullmatch, upload_ids):
            shutil.rmtree(self.uploads_of(owner) / upload_id, ignore_errors=True)

    def renew_uploads(self, owner: str, upload_ids: Iterable[str]) -> None:
        """Keep uploads for as long again as if they had just been sent."""
        for upload_id in filter(_UPLOAD_ID.fullmatch, upload_ids):
            with suppress(OSError):
                os.utime(self.uploads_of(owner) / upload_id)

    def sweep_uploads(self, in_use: Collection[str], seconds: float = _UPLOAD_SECONDS) -> None:
        """Remove the uploads that have waited longer than ``seconds``, but for those ``in_use``."""
        for folder in self._uploads.glob("*/*"):
            with suppress(OSError):
                if folder.name not in in_use and time.time() - folder.stat().st_mtime > seconds:
                    shutil.rmtree(folder)
        for folder in self._uploads.iterdir():
            with suppress(OSError):  # still has uploads
                folder.rmdir()


def owner_of(session: str) -> str:
    """A name for a session that does not give the session away."""
    return hashlib.sha256(session.encode()).hexdigest()[:24]


def without_paths(text: str, root: Path, *, sample: bool = True) -> str:
    """``text`` with the paths of uploads below ``root``, and of the sample, cut down to file names."""
    text = re.sub(re.escape(f"{root}/uploads/") + "[0-9a-f]{24}/[0-9a-f]{32}/", "", text)
    return text.replace(f"{sample_path('en.conllu').parent}/", "") if sample else text


def safe_name(name: str) -> str:
    """A file name without folders, blanks, and the ``+`` and ``,`` that join the parts of a bitext.

    Of a long one the end is kept, with the ending; no file system takes more than 255 bytes.
    """
    last = re.split(r"[/\\]", name)[-1]
    safe = _UNSAFE.sub("_", last)[-100:].encode()[-200:].decode(errors="ignore").strip("._-")
    return safe or "upload"

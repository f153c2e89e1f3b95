"""A process that dies at a chosen moment of its writing, so that every such moment can be tried.

The moments are the calls that change what is on disk: opening a file to write, syncing it, making,
renaming and removing. Between two of them nothing happens that a reader could see.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

__all__ = ["crash_points"]

_CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def crash_points(write: Callable[[], object]) -> Iterator[int]:
    """Run ``write`` in a process that is killed (-9) at its first change on disk, then at its second, ...

    Yields:
        The number of the change that the process did not live to make; the caller looks at what is left and
        tidies up. It ends when the process has made all of its changes.

    Raises:
        AssertionError: if ``write`` fails otherwise than by being killed.
    """
    last = 0
    while True:
        last += 1
        child = os.fork()
        if child == 0:
            _write_and_die(write, last)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0, "the writer failed"
            return
        yield last


def _write_and_die(write: Callable[[], object], at: int) -> NoReturn:
    """In the child: never returns to the caller's code."""
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITING):
            count()

    sync = os.fsync

    def fsync(fd: Any) -> None:
        count()
        sync(fd)

    try:
        os.fsync = fsync
        sys.addaudithook(audit)
        write()
        os._exit(0)
    except BaseException:
        os._exit(1)

import errno
import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from advisor import files
from advisor.files import write_files
from advisor.report import check_output, rescued, reserved
from probes.errors import InputError, RunError


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def small_files_only(limit: int) -> Iterator[None]:
    """Let the operating system refuse every byte beyond ``limit`` of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failing(code: int) -> Any:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


def test_files_and_folders_are_made(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er" / "out"
    written = write_files(out, {"a.json": "{ü}", "recipe/train.py": b"\x00\xff"})
    assert written == (out / "a.json", out / "recipe" / "train.py")
    assert tree(tmp_path) == {
        "deep/er/out/a.json": "{ü}".encode(),
        "deep/er/out/recipe/train.py": b"\x00\xff",
    }


def test_a_new_folder_is_as_open_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    write_files(tmp_path / "out", {"a": "1"})
    mode = stat.S_IMODE((tmp_path / "out").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_second_run_replaces_its_files_and_leaves_others_alone(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": "old", "recipe/b": "old", "stale": "old"})
    (tmp_path / "mine").write_text("kept")
    written = write_files(tmp_path, {"a": "new", "recipe/b": "new", "stale": None, "never": None})
    assert written == (tmp_path / "a", tmp_path / "recipe/b")
    assert tree(tmp_path) == {"a": b"new", "recipe/b": b"new", "mine": b"kept"}


@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_changes_nothing_and_leaves_nothing(tmp_path: Path, existing: bool) -> None:
    out = tmp_path / "some" / "out"
    if existing:
        write_files(out, {"a": "old", "big": "old"})
    before = tree(tmp_path)
    with small_files_only(1000), pytest.raises(RunError, match="half-written"):
        write_files(out, {"a": "new", "big": "x" * 5000})
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == (
        ["a", "big", "out", "some"] if existing else []
    )


def test_a_disk_that_fails_between_two_moves_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"a": "old", "b": "old"})
    move = Path.replace
    moved: list[Path] = []

    def once(self: Path, target: Path) -> Path:
        if moved:
            raise OSError(errno.EIO, "input/output error")
        moved.append(target)
        return move(self, target)

    monkeypatch.setattr(Path, "replace", once)
    with pytest.raises(RunError):
        write_files(tmp_path, {"a": "new", "b": "new"})
    assert tree(tmp_path) == {"a": b"new", "b": b"old"}


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path / "new" / "out", {"a": "1"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EROFS, RunError),
        (errno.ENOSPC, RunError),
        (errno.EIO, RunError),
        (errno.EACCES, InputError),
        (errno.EPERM, InputError),
    ],
)
def test_what_the_system_says_becomes_the_right_error_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    monkeypatch.setattr(Path, "mkdir", failing(code))
    with pytest.raises(kind) as caught:
        write_files(tmp_path / "out", {"a": "1"})
    message = str(caught.value)
    assert os.strerror(code) in message
    assert "\n" not in message
    assert message.endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "file/far/below"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="name a folder"):
        check_output(tmp_path / name)
    with pytest.raises(InputError, match="name a folder"):
        write_files(tmp_path / name, {"a": "1"})
    assert tree(tmp_path) == {"file": b"precious"}


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_moves(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": "old", "report.html/inside": "old"})
    before = tree(tmp_path)
    with pytest.raises(InputError, match="report"):
        write_files(tmp_path, {"a": "new", "report.html": "new"})
    assert tree(tmp_path) == before


def test_a_file_in_the_place_of_a_folder_is_refused_before_anything_moves(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": "old", "recipe": "old"})
    before = tree(tmp_path)
    with pytest.raises(InputError):
        write_files(tmp_path, {"a": "new", "recipe/train.py": "new"})
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "a/../../escape", "", "."])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="inside the output folder"):
        write_files(tmp_path / "out", {name: "x"})
    assert list(tmp_path.iterdir()) == []


def test_checking_creates_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "not" / "yet")
    check_output(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_folder_is_found_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match="may write to"):
        check_output(tmp_path / "out")


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_files(tmp_path / "link", {"a": "1"})
    assert tree(tmp_path / "real") == {"a": b"1"}
    assert (tmp_path / "link").is_symlink()


def test_too_little_space_is_seen_before_the_run(tmp_path: Path) -> None:
    check_output(tmp_path, needed=1)
    with pytest.raises(InputError, match=r"MiB free where about .* are needed: free some"):
        check_output(tmp_path, needed=1 << 60)


def test_a_second_run_into_one_folder_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    with reserved(tmp_path / "out"), reserved(tmp_path / "other"):
        with (
            pytest.raises(InputError, match="Another run is writing"),
            reserved(tmp_path / "x" / ".." / "out"),
        ):
            pass
        assert not (tmp_path / "out").exists()
    with reserved(tmp_path / "out"):
        pass


def test_a_lock_leaves_nothing_behind_and_lets_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(locks))
    inside: list[int] = []

    def enter(number: int) -> int:
        entered = 0
        for _ in range(200):
            with suppress(InputError), reserved(tmp_path / "out"):
                inside.append(number)
                assert inside == [number]
                inside.remove(number)
                entered += 1
        return entered

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(enter, range(4))) > 0
    assert not list(locks.iterdir())


def test_results_that_cannot_be_written_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    full.mkdir()
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(full))
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(folder: Path) -> None:
        if folder.is_relative_to(full):
            raise RunError("no space left")
        (folder / "signals.json").write_text("{}")

    place = rescued(write)
    assert place is not None
    assert place.parent == tmp_path
    assert (place / "signals.json").exists()
    monkeypatch.setenv("HOME", str(full))
    assert rescued(write) is None

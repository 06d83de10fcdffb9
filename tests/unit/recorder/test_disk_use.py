"""What a program holds on its disk is counted as du(1) counts it, and nothing that it hides stays unnoticed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_recorder import disk_use
from alcove_recorder.disk_use import TooMuchError, check_disk_use

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "out", tmp_path / "tmp"]
    for folder in found:
        folder.mkdir()
    return found


def exceeds(folders: list[Path], most_bytes: int) -> str:
    """Why it is too much; "" where it is not."""
    try:
        check_disk_use(folders, most_bytes)
    except TooMuchError as error:
        return str(error)
    return ""


def count_by_du(folders: list[Path]) -> int:
    """Without the folders themselves, which their volumes have."""
    roots = sum(folder.stat().st_blocks for folder in folders) * 512
    output = subprocess.run(
        ["du", "-s", "-B1", *map(str, folders)], capture_output=True, text=True, check=True
    )
    return sum(int(line.split()[0]) for line in output.stdout.splitlines()) - roots


def test_both_folders_count_together(folders: list[Path]) -> None:
    for number, folder in enumerate(folders):
        (folder / "a").mkdir()
        (folder / "a" / f"{number}").write_bytes(bytes(MIB))
    assert not exceeds(folders, 3 * MIB)
    assert "more than the" in exceeds(folders, MIB + MIB // 2)


@given(st.lists(st.integers(0, 300 * KIB), max_size=8), st.lists(st.integers(0, 7), max_size=6))
def test_it_counts_what_du_counts(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], links: list[int]
) -> None:
    root = tmp_path_factory.mktemp("du")
    folders = [root / "out", root / "tmp"]
    for folder in folders:
        folder.mkdir()
    for number, size in enumerate(sizes):
        within = folders[number % 2] / f"d{number % 3}"
        within.mkdir(exist_ok=True)
        (within / f"{number}").write_bytes(bytes(size))
    for number, of in enumerate(links):
        if of < len(sizes):
            (folders[of % 2] / f"link{number}").hardlink_to(folders[of % 2] / f"d{of % 3}" / f"{of}")
    used = count_by_du(folders)
    assert not exceeds(folders, used)
    assert used == 0 or exceeds(folders, used - 512)


def test_what_links_lead_to_is_not_the_programs(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(MIB))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "large").write_bytes(bytes(MIB))
    (folders[0] / "link").symlink_to(tmp_path / "large")
    (folders[0] / "folder").symlink_to(tmp_path / "folder")
    assert not exceeds(folders, 64 * KIB)


def test_a_sparse_file_takes_up_what_it_holds(folders: list[Path]) -> None:
    with (folders[0] / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert not exceeds(folders, 64 * KIB)


class StopLookingError(Exception):
    pass


def test_a_look_that_waits_for_a_busy_machine_is_followed_by_the_next_all_the_same(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is for what a look takes of a processor, which the program cannot draw out."""
    pauses: list[float] = []

    def stop(seconds: float) -> None:
        pauses.append(seconds)
        raise StopLookingError

    monkeypatch.setattr(disk_use, "check_disk_use", lambda *_: Event().wait(0.5))
    monkeypatch.setattr(disk_use, "sleep", stop)
    with pytest.raises(StopLookingError):
        disk_use.DiskWatch(folders, MIB, lambda: None).run()
    assert pauses == [disk_use.LOOK_EVERY]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of whoever runs the test meanwhile, whom modes bind."""
    with TemporaryDirectory() as name:
        user = os.geteuid() or 65534
        os.chown(name, user, -1)
        os.seteuid(user)
        try:
            yield Path(name)
        finally:
            os.seteuid(os.getuid())


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_folder_that_cannot_be_read_is_too_much(unprivileged: Path, mode: int) -> None:
    hidden = unprivileged / "hidden"
    hidden.mkdir()
    (hidden / "file").write_bytes(b"x")
    hidden.chmod(mode)
    try:
        assert exceeds([unprivileged], MIB) == "a folder of it cannot be read"
    finally:
        hidden.chmod(0o700)


def test_more_files_or_deeper_folders_than_one_look_goes_through_are_too_much(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_use, "FILES_AT_MOST", 10)
    for number in range(10):
        (folders[0] / f"{number}").touch()
    assert not exceeds(folders, MIB)
    (folders[1] / "one-more").touch()
    assert exceeds(folders, MIB) == "it has more than 10 files"
    monkeypatch.undo()
    deepest = folders[0].joinpath(*["d"] * disk_use.DEPTH_AT_MOST)
    deepest.mkdir(parents=True)
    assert not exceeds(folders, MIB)
    (deepest / "d").mkdir()
    assert "deep" in exceeds(folders, MIB)

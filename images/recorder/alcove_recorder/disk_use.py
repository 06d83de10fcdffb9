"""Whether a program holds more on its node's disk than it asked for: evidence of who put a node under pressure.

The kubelet counts volumes for a pod as a whole, with what the platform staged and recorded in it, and names containers
alone. So the recorder counts what lies in the folders that the program may write to. Whatever keeps it from counting,
the program has made, and is taken for too much.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep, thread_time

from alcove_recorder.jsonlog import log

FILES_AT_MOST, DEPTH_AT_MOST = 100_000, 64
"""What one look goes through, so that it takes constant memory and less than a second."""
LOOK_EVERY = 2.0
"""Seconds between two looks, where each is quick."""
_LOOK_SHARE = 0.05
"""Of a core, at most: a long look is followed by a long pause."""
_BLOCK = 512
"""Bytes of one of ``st_blocks``, whatever the file system's own are (stat(2))."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Of what was a folder a moment ago: removed, or something else in its place."""


class TooMuchError(Exception):
    """The folders hold more than allowed, or cannot be looked through."""


def check_disk_use(folders: Sequence[Path], most_bytes: int) -> None:
    """Counts what the files below ``folders`` take up on the disk.

    Raises:
        TooMuchError: it is more than ``most_bytes`` bytes together, or more than FILES_AT_MOST files, or lies deeper
            than DEPTH_AT_MOST, or in a folder that cannot be read.
        OSError: the system does not let them be read, by no doing of the program.
    """
    _Look(most_bytes).add_folders(folders)


class _Look:
    def __init__(self, most_bytes: int) -> None:
        self._most, self._files, self._bytes = most_bytes, 0, 0

    def add_folders(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            self._add_folder(os.fspath(folder), None, 0)

    def _add_folder(self, name: str, within: int | None, depth: int) -> None:
        if depth > DEPTH_AT_MOST:
            raise TooMuchError(f"its folders are more than {DEPTH_AT_MOST} deep")
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within
            )
        except OSError as error:
            if error.errno in _GONE:
                return
            raise _hidden(error) from error
        try:
            with os.scandir(descriptor) as listing:
                for item in listing:
                    self._add(item, descriptor, depth)
        finally:
            os.close(descriptor)

    def _add(self, item: os.DirEntry[str], folder: int, depth: int) -> None:
        self._files += 1
        if self._files > FILES_AT_MOST:
            raise TooMuchError(f"it has more than {FILES_AT_MOST} files")
        try:
            status = item.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _hidden(error) from error
        # A file of several names is met under each.
        is_folder = item.is_dir(follow_symlinks=False)
        self._bytes += status.st_blocks * _BLOCK // (1 if is_folder else max(1, status.st_nlink))
        if self._bytes > self._most:
            raise TooMuchError(f"it holds more than the {self._most} bytes that it asked for")
        if is_folder:
            self._add_folder(item.name, folder, depth + 1)


def _hidden(error: OSError) -> Exception:
    """Nobody but the program takes the right to read a folder away."""
    return TooMuchError("a folder of it cannot be read") if isinstance(error, PermissionError) else error


class DiskWatch(threading.Thread):
    """Looks again and again, beside the recorder's loop, until a look finds too much; then calls ``exceeded`` once."""

    def __init__(self, folders: Sequence[Path], most_bytes: int, exceeded: Callable[[], None]) -> None:
        super().__init__(name="disk", daemon=True)
        self._folders, self._most, self._tell = folders, most_bytes, exceeded
        self.exceeded = False
        self._failed = False

    def run(self) -> None:
        while not self.exceeded:
            began = thread_time()
            try:
                check_disk_use(self._folders, self._most)
            except TooMuchError as error:
                log("disk-exceeded", why=str(error))
                self.exceeded = True
                self._tell()
                return
            except OSError as error:
                if not self._failed:
                    log("disk-look-failed", error=repr(error))
                self._failed = True
            # Processor time: on a busy machine a look takes long, and nobody must be able to put the next one off.
            took = thread_time() - began
            sleep(max(LOOK_EVERY, took * (1 / _LOOK_SHARE - 1)))

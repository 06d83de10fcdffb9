"""The files of a dataset on a volume that runs mount, looked at before they do: participants see all that is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alcove_api.documents import DatasetManifest
from alcove_store.errors import StoreUnavailableError

_PIECE = 1 << 20
_MAX_FINDINGS = 8
"""Problems that are told; where one file is wrong, thousands often are."""


@dataclass(frozen=True)
class Volume:
    """A folder with ``train`` and ``test`` in it, as it is mounted."""

    root: Path

    def problems(self, manifest: DatasetManifest) -> list[str]:
        """What is there and should not be, what is not there, what cannot be read: at most 8 sentences.

        Reads names alone. Raises StoreUnavailableError where the volume does not answer.
        """
        found = dict(self._found())
        wanted = {entry.path for entry in manifest.files}
        wrong = [_unwanted(path, found[path]) for path in sorted(found.keys() - wanted)]
        wrong += [_unwanted(path, False) for path in sorted(found.keys() & wanted) if not found[path]]
        wrong += [
            f"{path} is not on the volume, or not every user can read its folder. Put it back: chmod -R a+rX."
            for path in sorted(wanted - found.keys())
        ]
        wrong += [
            f"{path} on the volume cannot be read by every user, and each run has its own. Let all read: chmod -R a+rX."
            for path in sorted(found.keys() & wanted)
            if found[path] and not os.access(self.root / path, os.R_OK)
        ]
        more = len(wrong) - _MAX_FINDINGS
        if more > 0:
            wrong[_MAX_FINDINGS - 1 :] = [f"And {more + 1} more. Correct these first."]
        return wrong

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of a file. Raises StoreUnavailableError where it cannot be read."""
        try:
            # A link would lead to whatever another container has under that name.
            number = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(number, "rb", buffering=0) as file:
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise _away(path, error) from error

    def _found(self) -> Iterator[tuple[str, bool]]:
        """Path and whether it is a regular file, of all but folders. A folder that we cannot read, runs cannot."""
        folders = [self.root]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except PermissionError:
                continue
            except OSError as error:
                raise _away("The folder", error) from error
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    path = Path(entry.path).relative_to(self.root).as_posix()
                    yield path, entry.is_file(follow_symlinks=False)


def _away(what: str, error: OSError) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{what} on the volume cannot be read: {error.strerror}.",
        consequence="It was not checked.",
        remedy="It is tried again; look at the volume and its node.",
    )


def _unwanted(path: str, regular: bool) -> str:
    if not regular:
        return f"{path} on the volume is a link or a special file. Put a regular file there."
    if path.endswith(".solution"):
        return (
            f"{path} is on the volume, where participants would read it. Keep solutions in the store alone."
        )
    return (
        f"{path} is on the volume, but not in what was published, so participants would see what nobody checked. "
        "Take it away, or publish again with it."
    )

"""What lies in a folder: files of one kind, what was left out, and names that differ in their form alone."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from alcove_toolkit.errors import SourceError

_JUNK = ("__MACOSX", "$RECYCLE.BIN", "System Volume Information")
"""Folders that operating systems add, with nothing of the user's in them."""
_BAD_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
"""Of characters that no name may have: control characters, bytes that are not UTF-8, separators of lines."""
_NAMED = 6


@dataclass(frozen=True)
class Listing:
    """Items below a folder."""

    names: tuple[str, ...]
    """Paths with slashes, in order of their parts."""
    left_out: Counter[str]
    """How many files of each other ending."""
    folders: tuple[str, ...]
    """All folders, with slashes, whether or not an item is in them."""

    @property
    def left_out_text(self) -> str:
        """What was left out, for people: ``7 (.heic 6, .txt 1)``; empty where nothing was."""
        if not self.left_out:
            return ""
        most = self.left_out.most_common(_NAMED)
        more = " …" if len(self.left_out) > _NAMED else ""
        return f"{self.left_out.total():,} ({', '.join(f'{ending} {n:,}' for ending, n in most)}{more})"


def list_items(source: Path, suffixes: Sequence[str], *, folders: bool) -> Listing:
    """List the files below ``source`` with these endings, or with ``folders`` the folders that have such files.

    Raises:
        SourceError: a name is not text, a link leads nowhere or back.
        OSError: a folder cannot be read.
    """
    names: set[str] = set()
    left_out: Counter[str] = Counter()
    seen: list[str] = []
    for folder, files in walk_folders(source):
        below = folder.relative_to(source)
        if below.parts:
            seen.append(_check_name(below.as_posix()))
        for name in files:
            if not name.lower().endswith(tuple(suffixes)):
                left_out[PurePosixPath(name).suffix.lower() or "no ending"] += 1
            elif not is_regular(folder / name):
                left_out["pipe or device"] += 1
            else:
                path = _check_name((below / name).as_posix())
                names.add(below.as_posix() if folders else path)
    return Listing(tuple(sorted(names, key=path_order)), left_out, tuple(seen))


def path_order(name: str) -> tuple[str, ...]:
    """Sorts paths by their parts, so that the order does not depend on the system."""
    return PurePosixPath(name).parts


def _check_name(path: str) -> str:
    bad = [character for character in path if unicodedata.category(character) in _BAD_CATEGORIES]
    if bad:
        what = "is not UTF-8" if "\ud800" <= bad[0] <= "\udfff" else f"has the control character {bad[0]!r}"
        raise SourceError(ascii(path), f"has a name that {what}", remedy="Rename it.")
    return path


def walk_folders(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder below ``source`` and the names of its files. Hidden ones do not count.

    Raises:
        SourceError: a link leads back to a folder above it, which would never end.
        OSError: a folder cannot be read.
    """
    for at, inner, files in os.walk(source, followlinks=True, onerror=_raise):
        folder = Path(at)
        inner[:] = [name for name in inner if not name.startswith(".") and name not in _JUNK]
        for link in (folder / name for name in inner if (folder / name).is_symlink()):
            if link.resolve() in {above.resolve() for above in (folder, *folder.absolute().parents)}:
                raise SourceError(str(link), "leads back to a folder above it", remedy="Remove the link.")
        # What begins with ~$ is the lock of an open document.
        yield folder, [name for name in files if not name.startswith((".", "~$"))]


def _raise(error: OSError) -> None:
    """os.walk would pass over the folder without a word, and a class would be missing."""
    raise error


def is_regular(path: Path) -> bool:
    """Whether it is a file: no pipe or device, which could keep a reader waiting.

    Raises:
        SourceError: it is a link to nothing.
    """
    if path.is_symlink() and not path.exists():
        raise SourceError(str(path), "is a link to nothing", remedy="Remove it, or put the file there.")
    return path.is_file()


class NameFinder:
    """Finds files by names as a table writes them, whatever form of Unicode either of the two uses.

    A Mac stores ``é`` as two characters; a spreadsheet writes one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[PurePosixPath, dict[str, list[str]]] = {}

    def find(self, cell: str, where: str) -> str:
        """The path below the root, with slashes, as it is on disk.

        Args:
            cell: with slashes, or with backslashes as Windows writes them.

        Raises:
            SourceError: there is no such file, or there are two.
        """
        if not cell:
            raise SourceError(where, "names no file", remedy="Fill the cell, or remove the row.")
        name = cell if "\\" not in cell or (self._root / cell).exists() else cell.replace("\\", "/")
        path = PurePosixPath(name)
        return (path if (self._root / path).exists() else self._match(path, where)).as_posix()

    def _match(self, path: PurePosixPath, where: str) -> PurePosixPath:
        found = PurePosixPath("/") if path.is_absolute() else PurePosixPath()
        for part in path.parts[1:] if path.is_absolute() else path.parts:
            same = [part] if part == ".." else self._entries(found).get(normal_form(part), [])
            if len(same) > 1:
                raise SourceError(
                    where,
                    f"{path} could be any of {', '.join(map(ascii, same))}, which differ in their Unicode form alone",
                    remedy="Rename one of them.",
                )
            if not same:
                raise SourceError(
                    where, f"there is no file {self._root / path}{self._hint(found, part)}", remedy=_REMEDY
                )
            found /= same[0]
        return found

    def _entries(self, folder: PurePosixPath) -> dict[str, list[str]]:
        """Names in a folder by their normal form."""
        if folder not in self._known:
            names: dict[str, list[str]] = {}
            at = self._root / folder
            for name in os.listdir(at) if at.is_dir() else ():
                names.setdefault(normal_form(name), []).append(name)
            self._known[folder] = names
        return self._known[folder]

    def _hint(self, folder: PurePosixPath, part: str) -> str:
        """A name that may be meant, where it differs in case or lacks its ending."""
        wanted = normal_form(part).casefold()
        for name in sorted(name for names in self._entries(folder).values() for name in names):
            given = normal_form(name).casefold()
            if wanted in (given, given.rpartition(".")[0]):
                return f"; did you mean {folder / name}"
        return ""


_REMEDY = "Correct the name, remove the row, or add the file."


def normal_form(name: str) -> str:
    """The form in which two names that look alike are equal."""
    return unicodedata.normalize("NFC", name)

"""A folder of code: what of it is handed in, and as what."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pathspec import GitIgnoreSpec

from alcove_api.code_layout import MODEL_FILE, explain_missing_model, find_code
from alcove_api.words import count_of, format_bytes
from alcove_cli.errors import CommandError
from alcove_store.pack import pack_files

IGNORE_FILE = ".alcoveignore"
# A ConfigMap holds 1 MiB at most, names and base64 included.
CONFIG_MAP_BYTES = 700_000
UNPACKED_BYTES = 1 << 30
"""That stage unpacks of a bundle at most, whatever a competition allows."""
_IGNORED = ("__pycache__/", ".git/", ".ipynb_checkpoints/", ".DS_Store", f"/{IGNORE_FILE}")
_MANIFESTS = ("/submission.yaml", "/kustomization.yaml", "/kustomizeconfig.yaml")


def read_folder(folder: Path) -> dict[str, bytes]:
    """Files of a submission by relative path, sorted.

    Caches, the manifests beside the code, and what ``.alcoveignore`` names (in the syntax of ``.gitignore``) are left
    out.

    Raises:
        CommandError: no such folder, no ``model.py`` at its top, or the file cannot be read.
    """
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder. Give the folder that holds model.py.")
    folder = find_code(folder)
    left_out = _read_patterns(folder / IGNORE_FILE)
    found = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    files = {inner: path.read_bytes() for inner, path in found.items() if not left_out.match_file(inner)}
    if MODEL_FILE not in files:
        if MODEL_FILE in found:
            raise CommandError(f"{folder / IGNORE_FILE} leaves out model.py, so there is nothing to run.")
        raise CommandError(
            f"{folder} has no model.py at its top, so there is nothing to run. {explain_missing_model(files)}"
        )
    return files


def _read_patterns(path: Path) -> GitIgnoreSpec:
    own = []
    if path.is_file():
        try:
            own = path.read_text().splitlines()
        except UnicodeDecodeError:
            raise CommandError(f"{path} is no text. Nothing was submitted.") from None
    try:
        return GitIgnoreSpec.from_lines([*_IGNORED, *_MANIFESTS, *own])
    except ValueError as error:
        raise CommandError(f"{path} cannot be read: {error}. Nothing was submitted.") from None


def fits_config_map(files: dict[str, bytes]) -> bool:
    """Whether all lie at the top, under names that are keys of a ConfigMap, and are small enough together."""
    flat = all(re.fullmatch(r"[-._a-zA-Z0-9]+", path) for path in files)
    return flat and sum(map(len, files.values())) <= CONFIG_MAP_BYTES


def pack_bundle(files: dict[str, bytes], bytes_at_most: int | None) -> bytes:
    """A bundle: the same bytes for the same files. Says how large it is, and what is allowed.

    Args:
        bytes_at_most: of the bundle, as the competition publishes it; None where it does not.

    Raises:
        CommandError: it is larger than the competition or ``stage`` takes.
    """
    unpacked = sum(map(len, files.values()))
    if unpacked > UNPACKED_BYTES:
        raise _too_large(
            f"The code has {format_bytes(unpacked)}", f"{format_bytes(UNPACKED_BYTES)} unpacked", files
        )
    bundle = pack_files(files)
    allowed = "" if bytes_at_most is None else f" of at most {format_bytes(bytes_at_most)}"
    if bytes_at_most is not None and len(bundle) > bytes_at_most:
        raise _too_large(
            f"The bundle has {format_bytes(len(bundle))}",
            f"{format_bytes(bytes_at_most)} in this competition",
            files,
        )
    say(
        f"The code is uploaded as a bundle: {count_of(len(files), 'file')}, {format_bytes(len(bundle))}{allowed}."
    )
    return bundle


def _too_large(what: str, limit: str, files: dict[str, bytes]) -> CommandError:
    largest = sorted(files, key=lambda path: -len(files[path]))[:3]
    named = ", ".join(f"{path} ({format_bytes(len(files[path]))})" for path in largest)
    return CommandError(
        f"{what}, but may have {limit}. Nothing was submitted. The largest files: {named}. What is not needed can be "
        f"named in {IGNORE_FILE}."
    )


def say(text: str) -> None:
    """A line of progress for people."""
    print(text, file=sys.stderr, flush=True)

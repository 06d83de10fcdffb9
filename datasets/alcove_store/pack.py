"""Packs files into the archive that a submission's code travels in; :mod:`.unpack` takes it apart."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from typing import IO, cast


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """A ``.tar.gz`` of files by path: the same bytes for the same files, whoever packs them, when and where."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        # Not the plain format, which has no room for names of more than 100 characters.
        tarfile.open(fileobj=cast(IO[bytes], compressed), mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()

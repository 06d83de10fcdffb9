"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file as a whole or not at all. Raises OSError; what was there before stays then.

    Text is written in UTF-8; bytes of a file's name that are no text become escapes, as ``\\udcff``.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    if path.exists() and not path.is_file():  # A device or a pipe, which cannot be replaced.
        path.write_bytes(data)
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)

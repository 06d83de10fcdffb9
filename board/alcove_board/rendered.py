"""An answer that is made once and sent many times: compressed, and with a name for its content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass

HTML, JSON, CSV = "text/html; charset=utf-8", "application/json", "text/csv; charset=utf-8"


@dataclass(frozen=True)
class Rendered:
    body: bytes
    compressed: bytes
    """The same by gzip."""
    etag: str
    media_type: str
    status: int = 200

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed)


def render(body: bytes, media_type: str, status: int = 200) -> Rendered:
    # Weak: the plain and the compressed form have one name.
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Rendered(body, gzip.compress(body, 6, mtime=0), etag, media_type, status)

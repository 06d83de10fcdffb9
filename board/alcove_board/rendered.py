"""An answer that is made once and sent many times: compressed, and with a name for its content."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from enum import Enum

HTML, JSON, CSV = "text/html; charset=utf-8", "application/json", "text/csv; charset=utf-8"
VARY = "Accept-Encoding"
_NO_GZIP = re.compile(r"\bgzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)", re.IGNORECASE)


class Form(Enum):
    """How one content is sent."""

    UNCHANGED = "unchanged"
    """Its name alone: the browser has it."""
    COMPRESSED = "compressed"
    PLAIN = "plain"

    @property
    def status(self) -> int:
        return 304 if self is Form.UNCHANGED else 200


@dataclass(frozen=True)
class Rendered:
    body: bytes
    compressed: bytes
    """The same by gzip."""
    etag: str
    media_type: str

    @property
    def size(self) -> int:
        return len(self.body) + len(self.compressed)

    def choose_form(self, known: str, accepted: str) -> Form:
        """``known`` and ``accepted``: the request's If-None-Match and Accept-Encoding."""
        if self.etag in known or known == "*":
            return Form.UNCHANGED
        if "gzip" not in accepted or (";" in accepted and _NO_GZIP.search(accepted)):
            return Form.PLAIN
        return Form.COMPRESSED

    def content(self, form: Form) -> bytes:
        return {Form.UNCHANGED: b"", Form.COMPRESSED: self.compressed, Form.PLAIN: self.body}[form]

    def headers(self, form: Form, caching: str) -> dict[str, str]:
        """All but its length. ``caching``: what Cache-Control says."""
        headers = {"ETag": self.etag, "Cache-Control": caching, "Vary": VARY}
        if form is not Form.UNCHANGED:
            headers["Content-Type"] = self.media_type
        if form is Form.COMPRESSED:
            headers["Content-Encoding"] = "gzip"
        return headers


def render(body: bytes, media_type: str) -> Rendered:
    # Weak: the plain and the compressed form have one name.
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Rendered(body, gzip.compress(body, 6, mtime=0), etag, media_type)

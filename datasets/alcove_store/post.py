"""Uploads by a permit: a form with a signed POST policy, which needs no credentials."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

from alcove_api.uploads import UploadPermit
from alcove_store.client import http_pool, refused_answer, store_errors

PIECE = 1 << 20


@dataclass(frozen=True)
class UploadForm:
    """A ``multipart/form-data`` body that is made while it is sent: the file is never whole in memory."""

    permit: UploadPermit
    source: BinaryIO
    size: int
    """Bytes of ``source``."""
    boundary: str

    @property
    def headers(self) -> dict[str, str]:
        length = len(self._head()) + self.size + len(self._tail())
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(length),
        }

    def __iter__(self) -> Iterator[bytes]:
        yield self._head()
        while piece := self.source.read(PIECE):
            yield piece
        yield self._tail()

    def _head(self) -> bytes:
        parts = [(f'name="{field.name}"', field.value) for field in self.permit.fields]
        parts.append(('name="file"; filename="upload"\r\nContent-Type: application/octet-stream', ""))
        head = "".join(
            f"--{self.boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n{value}\r\n"
            for about, value in parts
        )
        return head.removesuffix("\r\n").encode()

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


def find_url(permit: UploadPermit, endpoint: str) -> str:
    """Where to send a permit's form if the store is to be reached at ``endpoint``, not at the address in the permit.

    The bucket stays where the permit has it: in the path, or as the first part of the host's name.
    """
    path = urlsplit(permit.url).path.strip("/")
    if path:
        return f"{endpoint.rstrip('/')}/{path}"
    bucket, other = (urlsplit(permit.url).hostname or "").partition(".")[0], urlsplit(endpoint)
    return f"{other.scheme}://{bucket}.{other.netloc}/"


def send_upload(
    permit: UploadPermit, source: BinaryIO, size: int, url: str, *, patience: float = 60.0
) -> None:
    """Stores ``size`` bytes of ``source`` under the permit's key, at ``url``.

    ``patience``: seconds that the store may take to answer once all is sent.

    Raises:
        StoreDeniedError: the permit has expired, or is not one of this store's.
        StoreFullError, StoreUnavailableError: no room, no answer, or a lost connection; the same may work later.
        StoreError: the store refuses it for another reason, such as more bytes than are allowed.
    """
    form = UploadForm(permit, source, size, secrets.token_hex(16))
    with store_errors("the upload"):
        answer = http_pool(read=patience).request(
            "POST", url, body=form, headers=form.headers, retries=False, redirect=False
        )
    if answer.status not in (200, 201, 204):
        raise refused_answer("the upload", answer.status, answer.data)

"""A team's own report by a link that its own credentials signed: the store decides, and this server has no right to it.

The link holds what S3 calls a presigned URL, without the host. The server hands its query on to the store, which
answers only where the signer may read that report, and for no longer than the link says.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from alcove_api import keys
from alcove_store.client import http_pool, store_errors
from alcove_store.errors import StoreError, StoreUnavailableError

SIGNED = (
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
)  # fmt: skip
"""What a signed query consists of. Nothing else is handed on."""
MOST_BYTES = 16 << 20


class ReportLinks:
    def __init__(self, endpoint: str, signed_endpoint: str, bucket: str) -> None:
        self._endpoint, self._bucket = endpoint, bucket
        # The signature is over the name that the team knows the store by.
        self._host = urlsplit(signed_endpoint).netloc
        self._pool = http_pool()

    def fetch(self, team: str, submission_uid: str, query: Mapping[str, str]) -> bytes | None:
        """The report, or None where this link shows nothing: not signed, not by that team, expired, or none is there.

        Raises :class:`StoreError` where the store does not answer.
        """
        if set(query) != set(SIGNED) or query["X-Amz-SignedHeaders"] != "host":
            return None
        key = keys.team_report(team, submission_uid)
        url = f"{self._endpoint}/{self._bucket}/{key}?{urlencode(sorted(query.items()))}"
        with store_errors("a report"):
            answer = self._pool.request(
                "GET", url, headers={"Host": self._host}, retries=False, redirect=False, preload_content=False
            )
            try:
                data = answer.read(MOST_BYTES + 1)
            finally:
                answer.close()
                answer.release_conn()
        if answer.status >= 500:
            raise StoreUnavailableError("The object store did not answer for a report.", remedy="Try again.")
        if len(data) > MOST_BYTES:
            raise StoreError(f"{key} has more than {MOST_BYTES} bytes.", consequence="It was not shown.")
        return bytes(data) if answer.status == 200 else None

"""Thin access to the object store, shared by every part that has credentials for it.

Nothing here decides anything: keys come from :mod:`alcove_api.keys`, failures become :mod:`.errors`. The
bucket's region is always given, because asking the store for it needs a right that put-only credentials lack.

How a store is reached is the same for all that one process asks of it, and comes from its environment:
``ALCOVE_STORE_CA`` is a file of certificate authorities, for a store whose own is private. ``ALCOVE_STORE_STYLE`` is
how a bucket is addressed: ``path``, ``virtual`` (by a host name of its own), or ``auto``, which is the SDK's choice.
"""

from __future__ import annotations

import io
import json
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials import Credentials, Provider
from minio.error import InvalidResponseError, S3Error, ServerError
from pydantic import ValidationError

from alcove_api.documents import StoreCredentials
from alcove_store.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreNotFoundError,
    StoreTooLargeError,
    StoreUnavailableError,
)

_DENIED = frozenset(
    {
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidTokenId",
        "InvalidToken",
    }
)
_NOT_FOUND = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NoSuchUpload"})
_SMALL = 64 << 20


@dataclass(frozen=True)
class StoreConfig:
    endpoint: str
    """``http://host:port`` or ``https://host[:port]``."""
    region: str
    bucket: str
    credentials: Path
    """A :class:`~alcove_api.documents.StoreCredentials` file, read again when it changes."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> StoreConfig:
        """From ``ALCOVE_STORE_{ENDPOINT,REGION,BUCKET,CREDENTIALS}``.

        Raises :class:`StoreError` naming what is missing.
        """
        names = {
            field: f"ALCOVE_STORE_{field.upper()}"
            for field in ("endpoint", "region", "bucket", "credentials")
        }
        missing = sorted(name for name in names.values() if not environment.get(name))
        if missing:
            raise StoreError(
                f"{', '.join(missing)} not set.",
                consequence="The object store cannot be reached.",
                remedy="Set it in the environment of this container.",
            )
        values = {field: environment[name] for field, name in names.items()}
        return cls(values["endpoint"], values["region"], values["bucket"], Path(values["credentials"]))


def read_credentials(path: Path) -> StoreCredentials:
    """Raises StoreDeniedError where there are none in the file."""
    try:
        return StoreCredentials.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StoreDeniedError:
    # The text of a ValidationError would have what is in the file.
    return StoreDeniedError(
        f"The credentials file {path} could not be read ({type(error).__name__}).",
        consequence="The object store cannot be used until it can.",
        remedy="Check the Secret that is mounted there.",
    )


class FileProvider(Provider):  # type: ignore[misc]  # the SDK is not followed by the type checker
    """Credentials of the SDK from a file, read again whenever the file is another one or was changed.

    A mounted Secret is refreshed by replacing a link, so the identity of the file behind the path tells.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._credentials: Credentials | None = None

    def retrieve(self) -> Credentials:
        try:
            status = self._path.stat()
            identity = (status.st_ino, status.st_size, status.st_mtime_ns)
            if self._credentials is None or identity != self._seen:
                document = read_credentials(self._path)
                # Expiry is left to the store: a clock that differs here must not refuse what it would take.
                self._credentials = Credentials(
                    document.access_key, document.secret_key, session_token=document.session_token
                )
                self._seen = identity
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return self._credentials


def http_pool(
    *, connect: float = 2.0, read: float = 10.0, retries: int = 0, raise_on_status: bool = True
) -> urllib3.PoolManager:
    """Connections with bounded waits, in seconds. It makes no threads.

    ``raise_on_status``: False for the store's last answer, whatever it is, once no retry is left.
    """
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=connect, read=read),
        maxsize=8,
        retries=urllib3.Retry(
            total=retries,
            backoff_factor=0.2,
            status_forcelist=[500, 502, 503, 504],
            raise_on_status=raise_on_status,
        ),
        ca_certs=_find_authorities(),
    )


def _find_authorities() -> str | None:
    """None for those that the system knows."""
    path = os.environ.get("ALCOVE_STORE_CA") or None
    if path is not None and not os.access(path, os.R_OK):
        raise StoreError(
            f"{path}, which ALCOVE_STORE_CA names, cannot be read.",
            consequence="The object store cannot be reached, since its certificate cannot be checked.",
            remedy="Name a file with the certificate of its authority (PEM).",
        )
    return path


def client(
    endpoint: str, region: str, credentials: Provider, *, read_timeout: float = 10.0, retries: int = 0
) -> Minio:
    """A client of the store at ``http(s)://host[:port]``. Does not touch the network."""
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.netloc or url.path not in ("", "/"):
        raise StoreError(
            f"{endpoint!r} is not the address of an object store.",
            consequence="Nothing can be read or written.",
            remedy="Give it as http://host:port or https://host:port.",
        )
    store = Minio(
        endpoint=url.netloc,
        credentials=credentials,
        secure=url.scheme == "https",
        region=region,
        # An answer that is an error says why: no room, for one.
        http_client=http_pool(read=read_timeout, retries=retries, raise_on_status=False),
    )
    match os.environ.get("ALCOVE_STORE_STYLE"):
        case "virtual":
            store.enable_virtual_style_endpoint()
        case "path":
            store.disable_virtual_style_endpoint()
    return store


def bucket_url(endpoint: str, bucket: str) -> str:
    """Where a form for ``bucket`` is sent, by the style of this process's environment."""
    url = urlsplit(endpoint)
    if os.environ.get("ALCOVE_STORE_STYLE") == "virtual":
        return f"{url.scheme}://{bucket}.{url.netloc}/"
    return f"{endpoint.rstrip('/')}/{bucket}"


def connect(config: StoreConfig, *, read_timeout: float = 10.0, retries: int = 0) -> Minio:
    """A client for ``config``, whose credentials follow the file. Does not touch the network."""
    return client(
        config.endpoint,
        config.region,
        FileProvider(config.credentials),
        read_timeout=read_timeout,
        retries=retries,
    )


_FULL = 507
_FULL_CODES = ("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded")
"""The last is Ceph's, with the status 403."""
_NO_SPACE = "no space left on device"
"""The kernel's words, which MinIO puts into an InternalError (500) where its disk filled up since it last looked."""
_MAKE_ROOM = "The store is full: make room there, or give it a larger volume."


def _s3_error(error: S3Error, what: str) -> StoreError:
    text = f"The object store refused {what}: {error.code}."
    if error.code == "RequestTimeTooSkewed":
        return StoreDeniedError(
            text, remedy="Set the clock of this machine, or of the store: they differ by minutes."
        )
    if error.code in _DENIED:
        return StoreDeniedError(text, remedy="Check the rights and the age of the credentials.")
    if error.code in _NOT_FOUND:
        return StoreNotFoundError(text, remedy="Check that it was uploaded and is still there.")
    if error.code == "PreconditionFailed":
        return StoreConflictError(text, remedy="What is there already was kept.")
    status = getattr(error.response, "status", 0)
    if status == _FULL or error.code in _FULL_CODES or _NO_SPACE in (error.message or ""):
        return StoreFullError(text, remedy=_MAKE_ROOM)
    if (
        status >= 500
        or status == 429
        or error.code in ("SlowDown", "ConditionalRequestConflict", "RequestTimeout")
    ):
        return StoreUnavailableError(text, remedy="Try again.")
    return StoreError(text)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turns what the SDK, the HTTP library or the socket raises into a :class:`StoreError` about ``what``."""
    try:
        yield
    except S3Error as error:
        raise _s3_error(error, what) from error
    except (
        ServerError,
        InvalidResponseError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
        TimeoutError,
    ) as error:
        if _is_distrust(error):
            raise StoreUnavailableError(
                f"The object store was not asked for {what}, since its certificate is of no authority that is known.",
                remedy="If the authority is private, name the file with its certificate in ALCOVE_STORE_CA.",
            ) from error
        raise StoreUnavailableError(
            f"The object store did not answer for {what} ({type(error).__name__}).", remedy="Try again."
        ) from error


def _is_distrust(error: BaseException) -> bool:
    """Whether the server's certificate is why there was no answer."""
    reason = getattr(error, "reason", None)
    return isinstance(reason, urllib3.exceptions.SSLError) and isinstance(
        reason.args[0], ssl.SSLCertVerificationError
    )


def put_file(store: Minio, bucket: str, key: str, source: BinaryIO, length: int) -> None:
    """Writes ``length`` bytes of ``source``. Holds at most 10 MiB of it in memory, and makes no threads."""
    with store_errors(f"writing {key}"):
        # One upload at a time: the SDK would otherwise start a pool of threads for large objects.
        store.put_object(bucket, key, source, length, part_size=5 << 20, num_parallel_uploads=1)


def put_bytes(store: Minio, bucket: str, key: str, data: bytes) -> None:
    put_file(store, bucket, key, io.BytesIO(data), len(data))


def put_if_absent(store: Minio, bucket: str, key: str, data: bytes) -> None:
    """Writes an object that must not exist yet, decided by the store (``If-None-Match: *``).

    Raises :class:`StoreConflictError` where it does exist.
    """
    with store_errors(f"writing {key}"):
        # The SDK's put_object takes no conditional header; a signed URL does, and is as public an interface.
        url = store.get_presigned_url("PUT", bucket, key, expires=timedelta(minutes=5))
        response = http_pool().request("PUT", url, body=data, headers={"If-None-Match": "*"}, retries=False)
    if response.status == 200:
        return
    if response.status == 412:
        what = f"The object store refused writing {key}: HTTP 412."
        raise StoreConflictError(what, remedy="What is there already was kept.")
    raise refused_answer(f"writing {key}", response.status, response.data)


_CODE = re.compile(rb"<Code>([A-Za-z]{1,80})</Code>")
_MESSAGE = re.compile(rb"<Message>([ -~]{1,400}?)</Message>")


def refused_answer(what: str, status: int, body: bytes) -> StoreError:
    """What an answer means that is an error, of a request that was not sent by the SDK."""
    found = _CODE.search(body)
    code = found[1].decode() if found else f"HTTP {status}"
    told = f"The object store refused {what}: {code}."
    if status == _FULL or code in _FULL_CODES or _NO_SPACE.encode() in body:
        return StoreFullError(told, remedy=_MAKE_ROOM)
    if status in (401, 403):
        return StoreDeniedError(told, remedy="Check the rights and the age of the credentials.")
    if status == 429 and (said := _MESSAGE.search(body)):
        return StoreUnavailableError(f"{told} {said[1].decode()}")
    if status >= 500 or status in (408, 409, 429):
        return StoreUnavailableError(told, remedy="Try again.")
    return StoreError(told)


def stream(
    store: Minio, bucket: str, key: str, *, chunk: int = 1 << 20, version: str | None = None
) -> Iterator[bytes]:
    """The bytes of one object, piece by piece. ``version``: by default the newest.

    Just those that are stored: who uploads by a form can name any ``Content-Encoding``.
    """
    response = None
    try:
        with store_errors(f"reading {key}"):
            response = store.get_object(bucket, key, version_id=version)
            yield from response.stream(chunk, decode_content=False)
    finally:
        if response is not None:
            response.close()
            response.release_conn()


def get_bytes(
    store: Minio, bucket: str, key: str, *, limit: int = _SMALL, version: str | None = None
) -> bytes:
    """One whole object of at most ``limit`` bytes. Raises :class:`StoreTooLargeError` where it is larger."""
    data = bytearray()
    for piece in stream(store, bucket, key, version=version):
        data += piece
        if len(data) > limit:
            raise StoreTooLargeError(f"{key} has more than {limit} bytes.", consequence="It was not read.")
    return bytes(data)


def read_tail(store: Minio, bucket: str, key: str, size: int) -> bytes:
    """The last ``size`` bytes of an object at most; none where there is no object."""
    try:
        with store_errors(f"reading {key}"):
            length = store.stat_object(bucket, key).size or 0
            if not length:
                return b""
            start = max(0, length - size)
            answer = store.get_object(bucket, key, offset=start, length=length - start)
            try:
                return bytes(answer.read(decode_content=False))
            finally:
                answer.close()
                answer.release_conn()
    except StoreNotFoundError:
        return b""


def get_json(store: Minio, bucket: str, key: str, *, limit: int = _SMALL) -> Any:
    data = get_bytes(store, bucket, key, limit=limit)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{key} is not JSON.", consequence="It was not used.") from error


def dump_json(value: Any) -> bytes:
    """As the digests of the documents take it: sorted keys, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

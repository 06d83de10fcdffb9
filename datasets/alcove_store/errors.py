"""The errors of the object store and of what is read from it."""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class StoreError(AlcoveError):
    """The object store did not do what was asked of it."""


class StoreUnavailableError(StoreError):
    """No answer, or one that says "later": connection refused, timeout, 5xx."""

    retriable = True


class StoreFullError(StoreUnavailableError):
    """It has no room for what was to be written."""


class StoreDeniedError(StoreError):
    """The credentials were refused: wrong, expired, or not meant for this key."""

    retriable = True
    """Credentials are refreshed while a pod waits, so a later try can succeed."""


class StoreNotFoundError(StoreError):
    """No object under this key."""


class StoreTooLargeError(StoreError):
    """The object has more bytes than may be read."""


class StoreConflictError(StoreError):
    """There is an object under this key already, and it was to be written only once."""


class DigestError(StoreError):
    """The bytes in the store are not those that their digest names."""


class BundleError(AlcoveError):
    """A participant's bundle that cannot be unpacked, or must not be: the participant's fault, whatever the cause."""


class BundleTooLargeError(BundleError):
    """More bytes or members than may be unpacked."""

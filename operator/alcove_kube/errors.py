"""What the API server refuses, and what keeps it from answering."""

from __future__ import annotations

from alcove_api.errors import AlcoveError

TOO_LONG = "AnswerTooLong"
"""Reason of an answer that was not read to its end."""


class ApiError(AlcoveError):
    """A request that failed.

    ``status`` is the HTTP status, 0 where there was no answer; ``reason`` the server's one-word reason;
    ``message`` what the server itself said.
    """

    def __init__(
        self,
        cause: str,
        *,
        status: int = 0,
        reason: str = "",
        message: str = "",
        done: bool | None = False,
        retry_after: float = 0.0,
        consequence: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(cause, consequence=consequence, remedy=remedy)
        self.status = status
        self.reason = reason
        self.message = message
        self.done = done
        """Whether the request took effect; None where only the server knows."""
        self.retry_after = retry_after
        self.retriable = status == 0 or status == 429 or status >= 500

    @property
    def not_found(self) -> bool:
        return self.status == 404

    @property
    def gone(self) -> bool:
        """The server no longer knows the moment that a list is of: ask from its start again."""
        return self.status == 410

    @property
    def too_long(self) -> bool:
        """The answer has more bytes than whoever asked can take: ask for less at a time."""
        return self.reason == TOO_LONG

    @property
    def conflict(self) -> bool:
        return self.status == 409


class KubeconfigError(AlcoveError):
    """There is no usable kubeconfig, and no pod's token either."""

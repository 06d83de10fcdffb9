"""Logs as JSON, one object a line; the message is a sentence.

What a line is about stands in fields of its own: :func:`bind` sets them for all that is logged inside, in other threads
and tasks that start there too. A line has a cause of its own by ``extra={"cause": …}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

_bound: ContextVar[Mapping[str, str]] = ContextVar("bound", default=MappingProxyType({}))


@contextmanager
def bind(**fields: str) -> Iterator[None]:
    """Adds ``fields`` to every line that is logged inside."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


@contextmanager
def bind_object(kind: str, namespace: str, name: str) -> Iterator[None]:
    """The fields of every line about one object, beside its cause: of a Submission its team, too."""
    team = {"team": namespace} if kind == "submission" else {}
    with bind(**{kind: f"{namespace}/{name}"}, **team):
        yield


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_bound.get(),
            **({"cause": cause} if (cause := getattr(record, "cause", "")) else {}),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

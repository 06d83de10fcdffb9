"""The recorder's own log: one JSON object a line on stdout."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime


def log(event: str, **fields: object) -> None:
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    print(json.dumps(line, default=str), file=sys.stdout, flush=True)

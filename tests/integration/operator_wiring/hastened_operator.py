"""The operator, for whose store credentials time goes two minutes a second: no session of a store is that short."""

from __future__ import annotations

import asyncio

from alcove_operator import config, logs
from alcove_operator.clock import utc_now
from alcove_operator.service import Service

FASTER = 120


def main() -> None:
    logs.configure("INFO")
    service, began = Service.connect(config.from_environment()), utc_now()
    service.credentials.clock = lambda: began + (utc_now() - began) * FASTER
    asyncio.run(service.run())


if __name__ == "__main__":
    main()

"""``python -m alcove_operator``: the operator, with its settings from the environment."""

from __future__ import annotations

import asyncio
import logging
import sys

from alcove_api.errors import AlcoveError
from alcove_operator import config, logs


def main() -> int:
    logs.configure("INFO")
    log = logging.getLogger("alcove_operator")
    try:
        settings = config.from_environment()
        logs.configure(settings.log_level)
        from alcove_operator.service import serve  # kopf takes most of a second to load

        asyncio.run(serve(settings))
    except AlcoveError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether the object store answers, and how full it is: for metrics and alerts alone.

Whose fault a run's end is does not hang on this: a store that is slow for five seconds may be slow because of a
participant.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from alcove_operator.errors import OperatorError
from alcove_operator.metrics import Metrics
from alcove_operator.store import OperatorStore
from alcove_operator.store_disks import read_disk_space
from alcove_store.client import StoreConfig
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
PROBE_SECONDS, PATIENCE_SECONDS = 10.0, 5.0
DISKS_SECONDS = 60.0


@dataclass
class StoreHealth:
    config: StoreConfig
    metrics: Metrics

    async def watch(self) -> None:
        """Looks every few seconds, until cancelled."""
        store = OperatorStore.connect(self.config, patience=PATIENCE_SECONDS, retries=0)
        while True:
            up = False
            try:
                await asyncio.to_thread(store.exists, "code/probe")
                up = True
            except StoreUnavailableError:
                self.metrics.store.errors.labels("unavailable").inc()
            except StoreError as error:
                self.metrics.store.errors.labels("refused").inc()
                log.warning("The store answers, but not as it should: %s", error)
            self.metrics.store.up.set(up)
            await asyncio.sleep(PROBE_SECONDS)

    async def measure(self) -> None:
        """Asks how full its disks are, until cancelled. Of a store that does not say, the log tells once."""
        said = False
        while True:
            space = None
            try:
                space = await asyncio.to_thread(read_disk_space, self.config)
            except StoreError:
                pass  # The other loop tells.
            except OperatorError as error:
                if not said:
                    log.warning("%s", error)
                said = True
            self.metrics.store.show_disks(space)
            await asyncio.sleep(DISKS_SECONDS)

"""Keeps the interpreter's search for cyclic garbage from passing over every row again and again.

A full search among the rows of 10,000 Submissions keeps the event loop for more than 0.1 s, and by the interpreter's
own measure a rush of them brings one about every few seconds. Rows are in no cycles.
"""

from __future__ import annotations

import asyncio
import gc
import sys

YOUNG, MIDDLE, NEVER = 10_000, 20, 1_000_000
"""Objects between two searches among the youngest; of these between two among the older; of those before a full one."""
EVERY = 60.0
"""Seconds between two looks at how much there is."""
AT_LATEST = 60
"""Looks between two full searches, however little there is to find."""
GROWTH = 1.5
"""Of the memory blocks in use since the last full search: then there is one before its time. Rows that come to stay
bring on few of these: each needs half as many again as all before."""


def search_seldom() -> None:
    """Called before everything is listed: searches would take a quarter of that time. Full ones are left to
    :func:`search_forever`."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


def spare_rows() -> None:
    """Once all is listed: what is there now is never searched again."""
    gc.collect()
    gc.freeze()


async def search_forever() -> None:
    """So that nothing piles up."""
    searched, looks = sys.getallocatedblocks(), 0
    while True:
        await asyncio.sleep(EVERY)
        looks += 1
        if looks >= AT_LATEST or sys.getallocatedblocks() > GROWTH * searched:
            gc.collect()
            searched, looks = sys.getallocatedblocks(), 0

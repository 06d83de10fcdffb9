"""``make interleave``: plays interleavings, and says which seeds found a fault. Each seed plays again the same."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.interleave.world import play_many

SLICE = 50


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in which sets are gone through is a part of the interleaving.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.interleave", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    parser = argparse.ArgumentParser(prog="make interleave", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each next has the next number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--stop-at", type=int, default=10, help="seeds with faults after which it ends")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, played, found = time.monotonic(), 0, dict[int, list[str]]()
    ends = given.seed + given.count
    slices = [range(at, min(at + SLICE, ends)) for at in range(given.seed, ends, SLICE)]
    with ProcessPoolExecutor(given.jobs, initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        for count, faults in pool.map(play_many, slices, [SLICE] * len(slices)):
            played += count
            found |= faults
            for seed, said in faults.items():
                print(f"seed {seed}: {'; '.join(said)[:1500]}", flush=True)
            seconds = time.monotonic() - began
            if sys.stderr.isatty() or played % 1000 == 0:
                print(f"{played} interleavings, {played / seconds:.1f} a second", file=sys.stderr, flush=True)
            if len(found) >= given.stop_at:
                pool.shutdown(cancel_futures=True)
                break
    seconds = time.monotonic() - began
    print(
        f"{played} interleavings in {seconds:.0f} s ({played / seconds:.1f} a second): {len(found)} with faults."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Memory and time of the bootstrap over test examples: 50 snapshots of 100,000 × 100, of which one is held at a time.

python -m bench.example_bootstrap [--snapshots 50] [--resamples 1000] [--metric balanced_accuracy]
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from alcove_scorer.curves import resolve_rules
from alcove_scorer.example_bootstrap import ExampleBootstrap, draw_examples

EXAMPLES, LABELS = 100_000, 100
PIECE = 1 << 20


def snapshot(solution: np.ndarray, number: int, count: int) -> bytes:
    """A prediction that gets better with its number, as ``numpy.save`` writes it."""
    rng = np.random.default_rng(number)
    noise = rng.standard_normal(solution.shape, np.float32)
    file = io.BytesIO()
    np.save(file, (solution + (2 - number / count) * noise).astype(np.float32))
    return file.getvalue()


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def peak() -> float:
    """MB of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--metric", default="balanced_accuracy")
    asked = parser.parse_args()
    solution = np.random.default_rng(0).random((EXAMPLES, LABELS)) < 0.3
    size = len(snapshot(solution, 0, asked.snapshots))
    drawn = draw_examples(EXAMPLES, asked.resamples, 0)
    before = peak()
    bootstrap = ExampleBootstrap(resolve_rules(1200, metric_name=asked.metric), solution, drawn)
    start, cpu = time.perf_counter(), time.process_time()
    for number in range(asked.snapshots):
        data = snapshot(solution, number, asked.snapshots)
        bootstrap.add(number, 10.0 + number, "npy", len(data), pieces(data))
    areas = bootstrap.areas()
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    low, high = np.percentile(areas, [2.5, 97.5])
    print(f"{asked.snapshots} snapshots of {size / 1e6:.0f} MB, {asked.resamples} resamples, {asked.metric}")
    print(f"ALC {areas.mean():.4f}, 95 %: {low:.4f} to {high:.4f}; {used:.0f} s of CPU, {wall:.0f} s in all")
    print(
        f"draws {drawn.nbytes / 1e6:.0f} MB; peak {peak():.0f} MB, {peak() - before:.0f} MB above what was there"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

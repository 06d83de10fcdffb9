"""``alcove dataset check`` beside merely reading the same dataset, in one run; and the memory that it takes.

python -m bench.check [--examples 100000] [--only KIND …]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from alcove_format.metadata import Format, Metadata
from alcove_format.writer import NewExample, SparseStep, write_dataset
from alcove_toolkit.practice import make_practice

READ = """
import sys, time, resource
from pathlib import Path
from alcove_format.reader import open_dataset
started = time.perf_counter()
folder = open_dataset(Path(sys.argv[1]))
for part in (folder.train, folder.test):
    for features, label in part:
        pass
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
CHECK = """
import sys, time, resource
from pathlib import Path
from alcove_toolkit.check import Metric, check_dataset
from alcove_scorer.metrics import BalancedAccuracy
started = time.perf_counter()
data = Path(sys.argv[1])
found = check_dataset(data, data.with_suffix(".solution"), Metric("balanced_accuracy", BalancedAccuracy().score))
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(found.linear_score, *found.findings, sep="\\n", file=sys.stderr)
"""


def sparse(out: Path, examples: int) -> Path:
    """10,000 columns, 100 of them not zero in an example."""
    metadata = Metadata(n_examples=0, n_labels=20, rows=1, cols=10_000, format=Format.SPARSE)

    def rows(seed: int, count: int) -> Iterator[NewExample]:
        rng = np.random.default_rng(seed)
        for _ in range(count):
            label = int(rng.integers(20))
            cols = np.unique(
                np.concatenate([rng.integers(0, 10_000, 95), label * 500 + rng.integers(0, 500, 5)])
            )
            yield NewExample([SparseStep(cols, rng.random(len(cols), np.float32))], {label: 1.0})

    return write_dataset(out, "sparse", metadata, rows(0, examples * 2 // 3), rows(1, examples // 3))


def labels(out: Path, examples: int) -> Path:
    """1,000 labels, several at a time."""
    metadata = Metadata(n_examples=0, n_labels=1000, rows=1, cols=50)
    weights = np.random.default_rng(0).standard_normal((50, 1000))

    def rows(seed: int, count: int) -> Iterator[NewExample]:
        rng = np.random.default_rng(seed)
        for _ in range(count):
            x = rng.standard_normal(50)
            has = np.flatnonzero(x @ weights > 15)
            yield NewExample(x.reshape(1, 1, 50, 1), {int(i): 1.0 for i in has})

    return write_dataset(out, "labels", metadata, rows(0, examples * 2 // 3), rows(1, examples // 3))


def practice(name: str) -> Callable[[Path, int], Path]:
    return lambda out, examples: make_practice(name, out, examples=examples)


KINDS = {
    "tabular": practice("characters"),
    "text": practice("docstrings"),
    "series": practice("waves"),
    "image": practice("digits"),
    "video": practice("moving-digits"),
    "sparse": sparse,
    "labels": labels,
}


def measure(script: str, data: Path) -> tuple[float, float]:
    """Seconds, and MiB at most, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(data)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args()
    print("| dataset | size | check | reading alone | ratio | memory of the check |")
    print("|---|---|---|---|---|---|")
    for kind in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            data = KINDS[kind](Path(folder), arguments.examples)
            size = sum(path.stat().st_size for path in data.rglob("sample*")) / 1e6
            measure(READ, data)  # Once, so that both find the files in memory.
            reading, _ = measure(READ, data)
            checking, peak = measure(CHECK, data)
        ratio = checking / reading
        print(
            f"| {kind}, {arguments.examples:,} examples | {size:,.0f} MB | {checking:.1f} s | {reading:.1f} s "
            f"| {ratio:.2f} | {peak:.0f} MiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()

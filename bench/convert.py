"""Memory of the converters: it must not grow with the dataset.

    python -m bench.convert [--quick] [NAME…]

Each conversion runs in a process of its own, whose peak resident memory the kernel reports. The alternative in the same
run holds what it reads (scikit-learn's reader of sparse tables), or does the one thing that takes the time (decoding).
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench import PEAK

CONVERT = "from alcove_cli.main import main; main()"
ALTERNATIVE = "import sys; from sklearn.datasets import load_svmlight_file; load_svmlight_file(sys.argv[1])"
DECODE = (
    "import sys; from pathlib import Path; from PIL import Image\n"
    "for path in sorted(Path(sys.argv[1]).rglob('*.jpg')):\n"
    "    with Image.open(path) as image: image.load()"
)
FEATURES, VALUES = 10_000, 100
"""Columns of the sparse table, and values that are not zero in each row."""


def measure(code: str, *arguments: str) -> tuple[float, float]:
    """Seconds and peak MiB of a fresh Python that runs ``code``."""
    start = time.perf_counter()
    command = [sys.executable, "-c", PEAK, sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return time.perf_counter() - start, int(done.stdout.splitlines()[-1]) / 1024


def line(name: str, size: int, seconds: float, peak: float) -> None:
    print(f"{name:<44} {size / 1e6:8.0f} MB {seconds:8.1f} s {peak:8.0f} MiB", flush=True)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_sparse(path: Path, rows: int) -> None:
    """A table in the svmlight format, written row by row."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for i in range(rows):
            columns = np.sort(rng.choice(FEATURES, VALUES, replace=False)) + 1
            values = rng.integers(1, 1000, VALUES) / 1000
            cells = " ".join(f"{c}:{v:g}" for c, v in zip(columns.tolist(), values.tolist(), strict=True))
            file.write(f"{i % 10} {cells}\n")


def sparse(folder: Path, quick: bool) -> None:
    """Ten times the examples, the same memory."""
    peaks = []
    for rows in (1_000, 10_000) if quick else (10_000, 100_000):
        source = folder / f"rows-{rows}.svm"
        write_sparse(source, rows)
        size = source.stat().st_size
        out = folder / f"out-{rows}"
        seconds, peak = measure(CONVERT, "dataset", "convert", str(source), str(out), "--kind", "tabular")
        line(f"sparse table, {rows} × {FEATURES} → {folder_bytes(out) / 1e6:.0f} MB", size, seconds, peak)
        peaks.append(peak)
        seconds, other = measure(ALTERNATIVE, str(source))
        line("  scikit-learn reads it alone", size, seconds, other)
        source.unlink()
    print(f"  ten times the examples: {peaks[1] / peaks[0]:.2f} × the memory")


def write_pictures(folder: Path, count: int) -> None:
    """JPEGs of 100 kB: few motifs, each file with a remark of its own, so that no two are equal."""
    rng = np.random.default_rng(0)
    motifs = []
    for _ in range(20):
        small = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((640, 480))
        noise = rng.normal(0, 14, (480, 640, 3))
        buffer = io.BytesIO()
        Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8)).save(
            buffer, "JPEG", quality=80
        )
        motifs.append(buffer.getvalue())
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for i in range(count):
        motif, remark = motifs[i % len(motifs)], f"picture {i:08d}".encode()
        comment = b"\xff\xfe" + (len(remark) + 2).to_bytes(2, "big") + remark
        (folder / str(i % 10) / f"{i:06d}.jpg").write_bytes(motif[:2] + comment + motif[2:])


def images(folder: Path, quick: bool) -> None:
    """Ten times the pictures, the same memory. The alternative decodes them, and does nothing else."""
    peaks = []
    for count in (300, 3_000) if quick else (3_000, 30_000):
        source, out = folder / f"pictures-{count}", folder / f"out-{count}"
        write_pictures(source, count)
        seconds, peak = measure(CONVERT, "dataset", "convert", str(source), str(out), "--kind", "image")
        line(f"{count} pictures → {folder_bytes(out) / 1e6:.0f} MB", folder_bytes(source), seconds, peak)
        peaks.append(peak)
        other, held = measure(DECODE, str(source))
        line("  Pillow decodes them alone", folder_bytes(source), other, held)
        print(f"  {seconds / other:.2f} × the time")
        shutil.rmtree(source)
        shutil.rmtree(out)
    print(f"  ten times the pictures: {peaks[1] / peaks[0]:.2f} × the memory")


MEASURES: dict[str, Callable[[Path, bool], None]] = {"sparse": sparse, "images": images}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MEASURES), metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="A tenth of the size.")
    arguments = parser.parse_args()
    for name in arguments.names:
        with tempfile.TemporaryDirectory(prefix="alcove-bench-") as folder:
            MEASURES[name](Path(folder), arguments.quick)


if __name__ == "__main__":
    main()

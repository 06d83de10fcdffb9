"""What reading a dataset with NumPy costs, beside reading its bytes; bench/datasets.py prints it with the rest.

    python -m bench.reading NAME.data REPEATS

prints the seconds as JSON. No TensorFlow is loaded.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from alcove_format.format_pb2 import SequenceExample
from alcove_format.metadata import Format, Metadata
from alcove_format.reader import Part, open_dataset
from alcove_format.records import read_records

BATCH = 64
CHECKED = "reading the bytes, CRC checked"


def least(
    actions: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Least seconds of each, taken in turn: what else the machine does only ever adds to it."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = clock()
            action()
            times[name].append(clock() - start)
    return {name: min(found) for name, found in times.items()}


def processor_time() -> float:
    """Seconds of this process and of those that it has waited for; the store's are not among them."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def processor_time_of(pid: int) -> float:
    """Seconds of a process and its threads, in whole ticks of the kernel's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what: str, ours: float, theirs: float, against: str, goal: str) -> None:
    print(
        f"| {what} | {ours:.3f} s | {theirs:.3f} s | {ours / theirs:.2f} | {against} | {goal} |", flush=True
    )


def exhaust(iterable: Iterable[object]) -> None:
    for _ in iterable:
        pass


def read_bytes(part: Part) -> None:
    for path in part.files:
        exhaust(read_records(path))


def parse_messages(part: Part) -> None:
    """protobuf alone: nothing is taken out of the messages."""
    for path in part.files:
        for _, data in read_records(path):
            SequenceExample.FromString(data)


def make_zeros(part: Part) -> None:
    """What a reader of sparse rows hands out, before anything is in it, a megabyte at a time."""
    size = int(np.prod(part.metadata.shape))
    at_once = max(1, (1 << 20) // (4 * size))
    for _ in range(0, len(part), at_once):
        np.empty((at_once, size), np.float32).fill(0)


def decode_images(part: Part) -> None:
    """Reads and decodes, with nothing of ours around it but the check sums."""
    for path in part.files:
        for _, data in read_records(path):
            message = SequenceExample.FromString(data)
            for step in message.feature_lists.feature_list["0_compressed"].feature:
                with Image.open(io.BytesIO(step.bytes_list.value[0])) as image:
                    np.asarray(image).astype(np.float32)


def is_sparse_row(metadata: Metadata) -> bool:
    return metadata.format is Format.SPARSE and not metadata.is_token_sequence


def measured(part: Part, repeats: int) -> dict[str, float]:
    """Seconds of processor time: all is one thread, and what other programs take of a shared machine is left out."""
    image = part.metadata.format is Format.COMPRESSED
    actions = {
        "numpy": lambda: exhaust(part),
        "bytes": lambda: decode_images(part) if image else read_bytes(part),
        "messages": lambda: parse_messages(part),
        "batches": lambda: exhaust(part.batches(BATCH)),
        "zeros": lambda: make_zeros(part) if is_sparse_row(part.metadata) else None,
    }
    found = least(actions, repeats, time.process_time)
    if image:
        threads = {"two": lambda: exhaust(part.examples(workers=2)), "none": lambda: exhaust(part)}
        found |= least(threads, repeats)
    return found


def reading_rows(name: str, kind: str, metadata: Metadata, found: dict[str, float]) -> None:
    image = metadata.format is Format.COMPRESSED
    against = "reading and decoding the images alone" if image else CHECKED
    row(f"NumPy, {name}", found["numpy"], found["bytes"], against, "≤ 2")
    row(f"NumPy in batches of {BATCH}, {kind}", found["batches"], found["bytes"], against, "≤ 2")
    if is_sparse_row(metadata):
        both = found["bytes"] + found["zeros"]
        row(f"NumPy, {kind}", found["numpy"], both, f"{against}, and making rows of zeros", "≤ 2")
    if image:
        row(f"NumPy with two threads, {kind}", found["two"], found["none"], "NumPy with none", "< 1")
    else:
        row(f"(protobuf alone, {kind})", found["messages"], found["bytes"], against, "–")


if __name__ == "__main__":
    print(json.dumps(measured(open_dataset(Path(sys.argv[1])).train, int(sys.argv[2]))))

"""What grows is told from what does not, and a run that was cut short is still analysed."""

from __future__ import annotations

import hashlib
import io
import os
import random
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from alcove_api.run_documents import Record
from bench.soak.analysis import GROWS, HOUR, PIECES, RECORD_KIB, ROW_KIB, analyse, measure_growth
from bench.soak.report import table
from bench.soak.samples import (
    BEGAN,
    FILES,
    KILLED,
    LEFT_IN_ETCD,
    LEFT_IN_STORE,
    LEFT_OBJECTS,
    QUIET,
    SOCKETS,
    STARTED,
    WATCHES,
    History,
    Notebook,
    Sample,
    read_history,
    read_process,
    read_series,
)

RATE = 1200.0
"""Submissions an hour."""
TIMES = [float(at) for at in range(0, 7200, 10)]


def noisy(slope: float, level: float = 100.0, noise: float = 1.0, seed: int = 1) -> list[float]:
    """``slope``: an hour."""
    chance = random.Random(seed)
    return [level + slope * at / HOUR + chance.uniform(-noise, noise) for at in TIMES]


def history(**series: list[float]) -> History:
    """Two hours with a restart in the middle; submissions come steadily."""
    series = {"submitted": [RATE * at / HOUR for at in TIMES], **series}
    samples = tuple(
        Sample(at, {name.replace("_", " "): values[number] for name, values in series.items()})
        for number, at in enumerate(TIMES)
    )
    marks = {BEGAN: 0.0, KILLED: 3600.0, STARTED: 3610.0, QUIET: 7200.0}
    return History(samples, marks, {LEFT_IN_ETCD: 4.0, LEFT_OBJECTS: 2.0, LEFT_IN_STORE: 1.0}, ())


def verdict(name: str, values: list[float]) -> str:
    rows = analyse(history(**{name.replace(" ", "_"): values}))
    return next(row.verdict for row in rows if row.name.startswith(name))


@pytest.mark.parametrize("seed", range(20))
def test_a_slope_is_found_in_noise(seed: int) -> None:
    growth = measure_growth(TIMES, noisy(5.0, seed=seed), (0.0, 7200.0))
    assert growth is not None
    assert growth.slope.low <= growth.slope.value <= growth.slope.high
    assert growth.slope.value == pytest.approx(5.0, abs=0.5)
    assert growth.slope.low > 0


def test_a_single_outlier_moves_nothing() -> None:
    values = noisy(0.0)
    values[len(values) // 2] = 1e6
    growth = measure_growth(TIMES, values, (0.0, 7200.0))
    assert growth is not None
    assert growth.slope.high < 2


def test_too_few_samples_have_no_slope() -> None:
    assert measure_growth(TIMES[:2], [1.0, 2.0], (0.0, 7200.0)) is None
    assert measure_growth([], [], (0.0, 0.0)) is None


def test_memory_may_grow_with_the_rows_of_what_has_ended_and_no_more() -> None:
    rows = ROW_KIB / 1024 * RATE
    assert verdict("operator memory", noisy(0.0)) == "as computed"
    assert verdict("operator memory", noisy(rows)) == "as computed"
    assert verdict("operator memory", noisy(2 * rows)) == GROWS


def test_what_the_recorder_keeps_of_a_prediction_is_what_is_computed_with() -> None:
    count, records, known = 1000, [], {}
    tracemalloc.start()
    for seq in range(count):
        at, name = 10**12 + seq * 10**9, f"{seq}.npy"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        record = Record(
            seq=seq, name=name, kind="npy", seen_ns=at, t_ns=at + 1, sha256=sha256, bytes=368, previous=sha256
        )
        record.digest()
        records.append(record)
        known[name] = (at, seq, 368, at)
    kib = tracemalloc.get_traced_memory()[0] / 1024 / count
    tracemalloc.stop()
    assert kib == pytest.approx(RECORD_KIB, rel=0.2)


def test_a_leak_of_sockets_is_found() -> None:
    level = [40.0 + random.Random(at).choice((-1, 0, 0, 1)) for at in range(len(TIMES))]
    leaking = [count + at // 600 for count, at in zip(level, TIMES, strict=True)]
    assert verdict("operator sockets", level) == "flat"
    assert verdict("operator sockets", leaking) == GROWS


def test_a_leak_in_one_half_alone_is_found() -> None:
    """After the restart, say."""
    values = [40.0 if at < 3600 else 40.0 + (at - 3600) // 300 for at in TIMES]
    assert verdict("operator sockets", values) == GROWS


def test_stores_grow_as_computed_from_what_one_submission_leaves() -> None:
    sawtooth = [20_000.0 + 80 * (at % 300) for at in TIMES]
    for growth, told in ((0.0, "as computed"), (4.0, "as computed"), (8.0, GROWS)):
        in_use = [level + growth * RATE * at / HOUR for level, at in zip(sawtooth, TIMES, strict=True)]
        assert verdict("etcd in use", in_use) == told
    assert verdict("store, number", [3.0 * RATE * at / HOUR for at in TIMES]) == "as computed"
    assert verdict("store, number", [4.0 * RATE * at / HOUR for at in TIMES]) == GROWS


def test_an_object_that_is_written_over_again_and_again_is_found() -> None:
    """Its bucket keeps versions."""
    assert verdict("versions in the store", [5.0 * RATE * at / HOUR for at in TIMES]) == "as computed"
    assert verdict("versions in the store", [8.0 * RATE * at / HOUR for at in TIMES]) == GROWS


def test_objects_that_nobody_clears_away_are_found() -> None:
    left = [at // 3 for at in TIMES]
    assert verdict("objects of jobs.batch", left) == GROWS
    assert verdict("objects of submissions.alcove.dev", left) == "as computed"


def test_a_run_that_was_cut_short_is_analysed(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with path.open("w") as file:
        notebook = Notebook(file)
        notebook.mark(BEGAN)
        notebook.fact(LEFT_OBJECTS, 2.0)
        notebook.sample({"submitted": 1.0})
        file.write('{"at": 17')
    read = read_history(path)
    assert (len(read.samples), set(read.marks), read.facts) == (1, {BEGAN}, {LEFT_OBJECTS: 2.0})
    assert read.faults is None
    assert analyse(read) == []


def test_what_was_judged_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with path.open("w") as file:
        Notebook(file).judge(["one was lost."])
    assert read_history(path).faults == ("one was lost.",)


def test_a_half_that_was_not_reached_has_no_figures() -> None:
    whole = history(operator_sockets=[40.0] * len(TIMES))
    cut = History(whole.samples[: PIECES * 10], {BEGAN: 0.0}, whole.facts)
    row = next(row for row in analyse(cut) if row.name == "operator sockets")
    assert row.halves[0] is not None
    assert row.halves[1] is None
    assert row.verdict == "too short to say"
    assert "| operator sockets | 40 → 40 | 0 (0 to 0) | – | – | 0 | too short to say |" in table(analyse(cut))


def test_what_a_process_has_open_is_counted_by_kind(tmp_path: Path) -> None:
    before = read_process("self", os.getpid())
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with socket.socket(), (tmp_path / "file").open("w"), INotify() as notify:
        notify.add_watch(str(tmp_path), flags.CREATE)
        after = read_process("self", os.getpid())
    stop.set()
    thread.join()
    grown = {what: after[f"self {what}"] - before[f"self {what}"] for what in (SOCKETS, WATCHES, "threads")}
    assert grown == {SOCKETS: 1.0, WATCHES: 1.0, "threads": 1.0}
    assert after[f"self {FILES}"] > before[f"self {FILES}"]
    assert after["self memory"] > 1


def test_a_process_that_is_gone_has_no_figures() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert read_process("gone", child) == {}


def test_a_page_of_metrics_is_summed_up_by_label() -> None:
    page = io.StringIO()
    page.write('requests{verb="WATCH",resource="jobs"} 2\nrequests{verb="WATCH",resource="pods"} 1\n')
    page.write('requests{verb="LIST",resource="jobs"} 1\nrequests_total{resource="jobs"} 9\nsize 4e+06\n')
    assert read_series(page.getvalue(), "requests", "resource") == {"jobs": 3.0, "pods": 1.0}
    assert read_series(page.getvalue(), "size") == {"": 4e6}

"""Tables: what columns become, and that nothing is learnt from test."""

from __future__ import annotations

import csv
import datetime as dt
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_format.metadata import Format
from alcove_format.reader import open_dataset
from alcove_format.solution import read_solution
from alcove_toolkit.convert import tables, tabular
from alcove_toolkit.convert.run import Converted
from tests.unit.toolkit.conversions import contents, converted


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def columns(made: Converted, part: str = "train") -> dict[str, npt.NDArray[np.float32]]:
    """Values of each feature in the order of the examples."""
    opened = open_dataset(made.path)
    examples = list(opened.train if part == "train" else opened.test)
    table = np.stack([features.ravel() for features, _ in examples])
    return {name: table[:, i] for name, i in made.metadata.features.items()}


def test_numbers_categories_dates_truth_and_what_is_missing(tmp_path: Path) -> None:
    rows = []
    for i in range(40):
        day = dt.date(2024, 1, 1) + dt.timedelta(days=i)
        rows.append(
            [i, "" if i == 3 else 1.5, "NA" if i == 5 else ["Rome", "Oslo"][i % 2], day, ["yes", "No"][i % 2]]
        )
    parts = ["test" if i >= 30 else "train" for i in range(40)]
    source = write(
        tmp_path / "t.csv",
        ["number", "gap", "city", "day", "ok", "split", "label"],
        [[*row, part, "ab"[i % 2]] for i, (row, part) in enumerate(zip(rows, parts, strict=True))],
    )
    made = converted(source)
    assert (made.n_train, made.n_test) == (30, 10)
    found = columns(made)
    order = found["number"].astype(int)
    assert sorted(order) == list(range(30))
    assert order.tolist() != list(range(30))
    assert (found["gap"] == 1.5).all()
    assert np.array_equal(found["gap is missing"], order == 3)
    assert np.array_equal(found["city is 'Oslo'"], (order % 2 == 1) & (order != 5))
    assert np.array_equal(found["city is missing"], order == 5)
    assert np.array_equal(found["day days"], order + 19723)
    assert found["day sine of week"] == pytest.approx(np.sin(2 * np.pi * (order % 7) / 7), abs=1e-5)
    assert "day sine of day" not in found
    assert np.array_equal(found["ok"], order % 2 == 0)


def test_what_test_has_and_train_has_not(tmp_path: Path) -> None:
    rows = [[i, "xy"[i % 2], 2.0, "train", "ab"[i % 2]] for i in range(20)]
    rows += [["many", "z", "", "test", "a"], [1e300, "x", "3", "test", "b"]]
    source = write(tmp_path / "t.csv", ["n", "c", "m", "split", "label"], rows)
    made = converted(source)
    found = columns(made, "test")
    assert sorted(found["n"]) == [9.5, 9.5]
    assert found["c is 'x'"].tolist() + found["c is 'y'"].tolist() in ([0, 1, 0, 0], [1, 0, 0, 0])
    assert sorted(found["m"]) == [2, 3]
    assert made.notes[1:] == (
        "Column 'n' (number): 2 of 22 cells cannot be read as such and are taken as missing, first in row 22: 'many'.",
    )


def test_scaling_is_trains(tmp_path: Path) -> None:
    rows = [[i, "train", "ab"[i % 2]] for i in range(10)] + [[1000, "test", "a"], [-3, "test", "b"]]
    made = converted(write(tmp_path / "t.csv", ["n", "split", "label"], rows), scale=True)
    train = columns(made)["n"]
    assert (train.mean(), train.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    assert max(columns(made, "test")["n"]) == pytest.approx((1000 - 4.5) / np.std(np.arange(10)))


@pytest.mark.parametrize(
    ("cells", "expected", "note"),
    [
        (["1,5", "2", "-0,25"], [1.5, 2, -0.25], "has numbers that are read as in 1.234,5"),
        (
            ["1.234,5", "999", "12.345.678"],
            [1234.5, 999, 12345678],
            "has numbers that are read as in 1.234,5",
        ),
        (
            ["1,234.5", "999", "12,345,678"],
            [1234.5, 999, 12345678],
            "has numbers that are read as in 1,234.5 or 5 %",
        ),
        (["1,234", "999"], [1234, 999], "has numbers that are read as in 1,234.5 or 5 %"),
        (["0,512", "1,234"], [0.512, 1.234], "has numbers that are read as in 1.234,5"),
        (["5 %", "12.5%", "7"], [5, 12.5, 7], "has numbers that are read as in 1,234.5 or 5 %"),
        (["5,5 %", "12%", ""], [5.5, 12, 8.75], "has numbers that are read as in 1.234,5"),
    ],
)
def test_numbers_as_they_are_written_elsewhere(
    tmp_path: Path, cells: list[str], expected: list[float], note: str
) -> None:
    rows = [[i % len(cells), cells[i % len(cells)], "ab"[i // 6 % 2]] for i in range(24)]
    source = tmp_path / "t.csv"
    source.write_text("which;n;label\n" + "".join(f"{';'.join(map(str, row))}\n" for row in rows))
    made = converted(source, how="random")
    assert made.notes == (f"Column 'n' {note}.",)
    found = columns(made)
    of_train = {int(k): value for k, value in zip(found["which"], found["n"], strict=True)}
    for k, cell in enumerate(cells):
        assert not cell or of_train[k] == pytest.approx(expected[k])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["31.12.2023", "1.1.2024 "], "day.month.year"),
        (["12/31/2023", "1/1/2024"], "month/day/year"),
        (["31/12/2023", "1/1/2024"], "day/month/year"),
        (["2023/12/31", "2024/1/1"], "year/month/day"),
    ],
)
def test_dates_as_they_are_written_elsewhere(tmp_path: Path, cells: list[str], said: str) -> None:
    rows = [[i % 2, cells[i % 2], f"{cells[i % 2].strip()} 6:0{i % 3}", "ab"[i // 4 % 2]] for i in range(24)]
    made = converted(write(tmp_path / "t.csv", ["which", "d", "t", "label"], rows), how="random")
    assert made.notes == tuple(f"Column {name!r} has dates that are read as {said}." for name in "dt")
    found = columns(made)
    assert np.array_equal(found["d days"], 19722 + found["which"])
    assert "d sine of day" not in found
    assert found["t days"] == pytest.approx(found["d days"] + 0.25, abs=0.01)


def test_what_only_looks_like_numbers_or_dates_is_text(tmp_path: Path) -> None:
    for cells in (["1,2,3", "4"], ["31.31.2023", "1.1.2024"], ["1.2.23", "3.4.23"], ["1,5", "1.5"]):
        rows = [[cells[i % 2], "ab"[i // 4 % 2]] for i in range(24)]
        made = converted(write(tmp_path / "t.csv", ["c", "label"], rows), how="random")
        assert set(made.metadata.features) == {f"c is {cell!r}" for cell in cells}


def test_columns_of_ids_are_left_out_and_rare_categories_are_none(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [[f"id{i}", rng.choice("aaaabbbcd"), "ab"[i % 2]] for i in range(60)]
    made = converted(write(tmp_path / "t.csv", ["key", "c", "label"], rows), categories=2)
    assert set(made.metadata.features) == {"c is 'a'", "c is 'b'"}
    assert made.notes == (
        "Column 'key' has another text in nearly every row: it is left out.",
        "Column 'c' has 4 categories in train, of which the 2 most frequent are kept (--categories).",
    )


@pytest.mark.parametrize(
    ("first", "scale", "said"),
    [(1 << 24, False, True), (1 << 24, True, False), ((1 << 24) - 20, False, False)],
)
def test_whole_numbers_that_float32_takes_for_each_other_are_told(
    tmp_path: Path, first: int, scale: bool, said: bool
) -> None:
    rows = [[first + i, "ab"[i % 2]] for i in range(20)]
    made = converted(write(tmp_path / "t.csv", ["customer", "label"], rows), scale=scale)
    opened = open_dataset(made.path)
    values = {float(features.ravel()[0]) for features, _ in (*opened.train, *opened.test)}
    assert (len(values) < 20) == said
    assert [note.partition(":")[0] for note in made.notes] == [
        "Column 'customer' has whole numbers beyond 16,777,216, some of which float32 takes for each other"
    ] * said


def test_labels_in_cells_columns_and_with_confidence(tmp_path: Path) -> None:
    rows = [[i, ["a;b", "", "b", "c"][i % 4]] for i in range(24)]
    cells = converted(write(tmp_path / "cells.csv", ["n", "label"], rows))
    names = cells.metadata.label_names
    for features, label in open_dataset(cells.path).train:
        expected = {0: "ab", 1: "", 2: "b", 3: "c"}[int(features.ravel()[0]) % 4]
        assert {name for name, score in zip(names, label, strict=True) if score} == set(expected)

    rows = [[i, i % 2, (i % 5) / 5] for i in range(24)]
    scored = converted(write(tmp_path / "columns.csv", ["n", "p", "q"], rows), labels="p,q")
    assert scored.metadata.label_names == ("p", "q")
    for features, label in open_dataset(scored.path).train:
        i = int(features.ravel()[0])
        assert label.tolist() == pytest.approx([i % 2, (i % 5) / 5])
    solution = read_solution(scored.path.with_suffix(".solution"))
    for (features, label), row in zip(open_dataset(scored.path).test, solution, strict=True):
        i = int(features.ravel()[0])
        assert row.tolist() == [i % 2, (i % 5) / 5 >= 0.5]
        assert not label.any()

    rows = [[i, "ab"[i % 2], 0.75] for i in range(24)]
    sure = converted(write(tmp_path / "sure.csv", ["n", "label", "confidence"], rows), confidence=True)
    assert {max(label) for _, label in open_dataset(sure.path).train} == {0.75}
    assert set(sure.metadata.features) == {"n"}


def test_parquet_has_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "int": pa.array([*range(19), None], pa.int32()),
            "flag": pa.array([i % 3 == 0 for i in range(20)]),
            "when": pa.array([dt.datetime(2024, 5, 1, i) for i in range(20)]),
            "kind": pa.array(["x", "y"] * 10).dictionary_encode(),
            "blob": pa.array([b"?"] * 20),
            "gap": pa.array([math.nan, 1.0, 2.0, 3.0] * 5),
            "half": pa.array(np.arange(20, dtype=np.float16)),
            "label": pa.array([["a"], ["a", "b"]] * 10),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    made = converted(tmp_path / "t.parquet", how="random")
    found = columns(made)
    assert {"int", "flag", "when days", "when sine of day", "kind is 'x'"} <= set(found)
    assert made.metadata.label_names == ("a", "b")
    assert found["gap is missing"].any()
    assert found["half"].any()
    assert "Column 'blob' is of type binary: it is left out." in made.notes


def test_wide_and_mostly_zero_is_written_sparse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "WIDE", 30)
    rng = np.random.default_rng(0)
    table = rng.integers(1, 9, (40, 50)) * (rng.random((40, 50)) < 0.05)
    rows = [[*row, "ab"[i % 2]] for i, row in enumerate(table.tolist())]
    made = converted(write(tmp_path / "t.csv", [*(f"x{i}" for i in range(50)), "label"], rows))
    assert made.metadata.format is Format.SPARSE
    parts = open_dataset(made.path)
    read = [features.ravel() for part in (parts.train, parts.test) for features, _ in part]
    assert sorted(map(tuple, read)) == sorted(map(tuple, table.astype(np.float32)))


CELL = st.sampled_from(["", "1", "2.5", "-3e4", "yes", "no", "2024-02-29", "x", "y", "z", "é", "NA"])


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_what_stands_in_test_changes_nothing_but_test(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(CELL, CELL, st.booleans()), min_size=8, max_size=30))
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for copy in ("one", "other"):
            path = Path(folder, copy)
            path.mkdir()
            shown = []
            for i, (a, b, is_test) in enumerate(rows):
                is_test = is_test if i > 3 else i < 2
                if is_test and copy == "other":
                    a, b = data.draw(CELL), data.draw(st.text("ab1\n", max_size=200))
                shown.append([i, a, b, "test" if is_test else "train", "ab"[i % 2]])
            source = write(path / "t.csv", ["n", "a", "b", "split", "label"], shown)
            found = contents(converted(source, scale=True).path)
            made.append({k: v for k, v in found.items() if not k.startswith("test/sample")})
        assert made[0] == made[1]


def test_sums_do_not_depend_on_where_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    # So far from 0 that the last bits of a sum show in what is scaled.
    rows = [[x, "ab"[i % 2]] for i, x in enumerate((1e9 + rng.standard_normal(1500)).tolist())]
    source = write(tmp_path / "t.csv", ["x", "label"], rows)
    monkeypatch.setattr(tabular, "CELLS", 300)
    found = []
    for block in (1 << 10, 1 << 14, 1 << 22):
        monkeypatch.setattr(tables, "BLOCK", block)
        found.append(contents(converted(source, scale=True).path))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", ["tabular", "text"])
def test_the_same_bytes_whatever_the_hash_seed_and_the_locale(tmp_path: Path, kind: str) -> None:
    rng = random.Random(3)
    rows = [
        [rng.choice("äöüß"), " ".join(rng.choices(["zeta", "eta", "theta", "iota"], k=5)), "ab"[i % 2]]
        for i in range(80)
    ]
    source = write(tmp_path / "t.csv", ["c", "text", "label"], rows)
    made = []
    for seed, locale in (("1", "C"), ("2", "C.UTF-8")):
        out = tmp_path / f"out-{seed}"
        environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale}
        command = ["-m", "alcove_cli.main", "dataset", "convert", str(source), str(out), "--kind", kind]
        subprocess.run([sys.executable, *command], check=True, env=environment, capture_output=True)
        made.append(contents(out))
    assert made[0] == made[1]
    assert len(made[0]) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_conversion_that_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    # So many rows that it is far from its end when the signal comes, on a busy machine as well.
    source = tmp_path / "t.csv"
    source.write_text("x,label\n" + "1,a\n2,b\n" * 20_000)
    out = tmp_path / "out"
    command = ["-m", "alcove_cli.main", "dataset", "convert", str(source), str(out), "--kind", "tabular"]
    with subprocess.Popen(
        [sys.executable, *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Of nohup, or in the background of a shell, the tests themselves may have been told to ignore it.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    ) as process:
        while not list(out.glob(".*")):
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(60) != 0
    assert not out.exists()

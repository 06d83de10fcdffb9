"""What a terminal shows of runs at home."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from alcove_cli.local_run import LocalDataset, LocalTask, SeenSnapshot
from alcove_cli.local_view import LocalView, draw_small_curve
from alcove_scorer.curves import Point, resolve_rules

RULES = resolve_rules(20.0)


def task(name: str) -> LocalTask:
    dataset = LocalDataset(name, Path(name), (10, 2), None)
    return LocalTask(Path("code"), dataset, Path("kept", name))


def test_the_small_curve_follows_the_scaled_time_axis() -> None:
    points = [Point(0, 0.0, 0.5), Point(1, 3.58, 0.999), Point(2, 20.0, 0.0)]
    curve = draw_small_curve(points, RULES)
    assert curve == "▅" * 8 + "█" * 7 + "▁", "x(3.58 s) is a half of the axis"
    assert draw_small_curve([], RULES) == " " * 16
    assert draw_small_curve([Point(0, 20.0, 2.0)], RULES) == " " * 15 + "█"


def test_a_terminal_has_a_row_a_dataset_in_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    digits, waves = task("digits"), task("waves")
    view = LocalView(console, [digits, waves], RULES)
    view.hear_go(digits, datetime.now(UTC))
    view.hear_snapshot(digits, SeenSnapshot("a.npy", 1.0, 0.75))
    view.hear_snapshot(digits, SeenSnapshot("b.npy", 2.0, None, "late"))
    plain = Console(file=io.StringIO(), width=80)
    plain.print(view.render())
    lines = [line for line in plain.file.getvalue().splitlines() if line.strip()]  # type: ignore[attr-defined]
    assert lines[0].split() == ["Dataset", "Left", "Predictions", "Score", "ALC", "Curve"]
    assert lines[1].split()[:2] == ["digits", "20"]
    assert "0.7500" in lines[1]
    assert "▇" in lines[1]
    assert lines[2].split() == ["waves", "waits"]


def test_where_80_columns_do_not_suffice_only_a_name_is_cut() -> None:
    digits = task("digits")
    view = LocalView(Console(file=io.StringIO()), [digits], RULES, lambda _: "a-long-submission on " * 4)
    view.hear_go(digits, datetime.now(UTC))
    view.hear_snapshot(digits, SeenSnapshot("a.npy", 1.0, 0.75))
    file = io.StringIO()
    Console(file=file, width=80).print(view.render())
    row = next(line for line in file.getvalue().splitlines() if line.startswith("a-long"))
    assert row.split()[-2:] == ["0.7215", "▇" * 12]
    assert "… " in row
    assert "0.7500" in row
    assert len(row) <= 80


def test_elsewhere_each_snapshot_is_a_line_with_its_dataset() -> None:
    file = io.StringIO()
    view = LocalView(Console(file=file, width=40), [task("digits"), task("waves")], RULES)
    with view.open():
        view.hear_snapshot(task("digits"), SeenSnapshot("a.npy", 1.0, 0.75))
        view.hear_snapshot(task("waves"), SeenSnapshot("b.npy", 2.0, None, "It has [bold]12[/bold] bytes."))
        view.hear_line(task("waves"), "[red]mine")
    assert file.getvalue().splitlines() == [
        "digits:   score 0.7500  a.npy     1.00 s",
        "waves:   b.npy refused: It has [bold]12[/bold] bytes.",
        "waves: [red]mine",
    ]

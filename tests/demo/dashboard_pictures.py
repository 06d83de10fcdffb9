"""Draws the dashboards with Matplotlib, from their own JSON and what a Prometheus answered to their queries.

``python -m tests.demo.dashboard_pictures FOLDER``: FOLDER is what tests/e2e/test_monitoring.py leaves; the pictures go
to docs/pictures. This is not Grafana: places, titles, queries, units and axes are those of the JSON, colours and type
are not.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill as fill_text
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import dates
from matplotlib import pyplot as plt

from tests.demo.dashboard_data import Object, fill, panels, read_dashboards
from tests.demo.hackathon import REPOSITORY

PICTURES = REPOSITORY / "docs" / "pictures"
COLUMNS, UNIT = 24, 0.62
"""Columns of Grafana's grid, and inches of one."""
MARGIN_SECONDS = 2
HEAD_CHARACTERS = 12
"""Of a line of a table's head."""
INK, PAPER, LINE = "#1f2933", "#ffffff", "#d5dbe1"
Answers = dict[str, list[Object]]


def name_of(target: Object, sample: Object, variables: dict[str, str]) -> str:
    """The legend that the target asks for."""
    text = fill(target.get("legendFormat") or "", variables)
    for label, value in sample["metric"].items():
        text = text.replace(f"{{{{{label}}}}}", value)
    return text or ", ".join(sample["metric"].values())


DURATIONS = {"years": 365.25 * 86400, "days": 86400.0, "hours": 3600.0, "min": 60.0}


def shown(value: float, unit: str, decimals: float | None = None) -> str:
    """A number as people read it."""
    if value != value:
        return "–"
    if unit == "s":
        for name, seconds in DURATIONS.items():
            if value >= 2 * seconds:
                return f"{value / seconds:.3g} {name}"
        return f"{value:.3g} s"
    if unit == "bytes":
        power = next((p for p in (3, 2, 1) if value >= 1024**p), 0)
        return f"{value / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    return f"{value:.{int(decimals)}f}".rstrip("0").rstrip(".") if decimals else f"{value:.4g}"


def unit_of(panel: Object) -> str:
    return str(panel.get("fieldConfig", {}).get("defaults", {}).get("unit") or "")


def arrange_matrix(
    found: list[Object], steps: Mapping[str, Object]
) -> tuple[list[str], list[tuple[str, dict[str, float]]]]:
    """Heads, and name and cells of each line, as Grafana's transformations arrange them.

    ``steps``: options of each, by its ID.
    """
    grid, (order,), hidden = (
        steps["groupingToMatrix"], steps["sortBy"]["sort"], steps["organize"]["excludeByName"],
    )  # fmt: skip
    cells: dict[str, dict[str, float]] = defaultdict(dict)
    for sample in found:
        row, column = (sample["metric"][grid[f"{what}Field"]] for what in ("row", "column"))
        cells[row][column] = sample["value"]
    columns = dict.fromkeys(sample["metric"][grid["columnField"]] for sample in found)
    # Grafana takes an empty cell for 0.
    lines = sorted(
        sorted(cells.items()), key=lambda line: line[1].get(order["field"], 0.0), reverse=order["desc"]
    )
    return [grid["rowField"].capitalize(), *(column for column in columns if column not in hidden)], lines


class Picture:
    def __init__(self, dashboard: Object, variables: dict[str, str], answers: Answers) -> None:
        self.dashboard, self.variables, self.answers = dashboard, variables, answers
        times = [at for found in answers.values() for s in found for at, _ in s.get("values", ())]
        ends = (min(times) - MARGIN_SECONDS, max(times) + MARGIN_SECONDS) if times else ()
        self.span = [datetime.fromtimestamp(at, UTC) for at in ends]
        """From before the first time of any panel to after the last: each shows all of it, as in Grafana."""

    def samples(self, panel: Object) -> list[tuple[Object, Object]]:
        """Pairs of target and sample."""
        targets = panel["targets"]
        return [(t, s) for t in targets for s in self.answers.get(f"{panel['title']}/{t['refId']}", [])]

    def draw(self, path: Path) -> None:
        every = [*self.dashboard["panels"], *panels(self.dashboard)]
        height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in every)
        figure = plt.figure(figsize=(COLUMNS * UNIT, height * UNIT * 0.62), facecolor="#f4f6f8", dpi=80)
        for panel in self.dashboard["panels"]:
            if panel["type"] == "row":
                top = 1 - panel["gridPos"]["y"] / height - 0.6 / height
                figure.text(0.008, top, panel["title"], weight="bold", color=INK, size=12)
        for panel in panels(self.dashboard):
            place = panel["gridPos"]
            below = 1 - (place["y"] + place["h"]) / height
            box = (place["x"] / COLUMNS, below, place["w"] / COLUMNS, place["h"] / height)
            self._panel(figure, panel, box, height)
        figure.savefig(path, facecolor=figure.get_facecolor())
        plt.close(figure)

    def _panel(self, figure: Any, panel: Object, box: tuple[float, ...], height: float) -> None:
        x, y, w, h = box
        pad = 0.004
        card = plt.Rectangle(
            (x + pad, y + 0.15 / height), w - 2 * pad, h - 0.3 / height, transform=figure.transFigure,
            facecolor=PAPER, edgecolor=LINE, zorder=-1,
        )  # fmt: skip
        figure.add_artist(card)
        title = fill(panel["title"], self.variables)
        figure.text(x + 0.012, y + h - 0.75 / height, title, size=10, color=INK, va="center")
        left = 0.055 if panel["type"] in ("timeseries", "xychart", "state-timeline") else 0.012
        below = 1.3 if panel["type"] in ("timeseries", "xychart", "state-timeline") else 0.4
        axes = figure.add_axes(
            (x + left, y + below / height, w - left - 0.015, h - (below + 1.4) / height), facecolor="none"
        )
        kinds = {
            "stat": self._numbers, "table": self._table, "timeseries": self._lines, "xychart": self._curves,
            "bargauge": self._bars, "state-timeline": self._timeline,
        }  # fmt: skip
        if self.samples(panel):
            kinds[panel["type"]](axes, panel)
        else:
            axes.axis("off")
            axes.text(0.5, 0.5, "No data", ha="center", va="center", color="#7b8794")

    def _numbers(self, axes: Any, panel: Object) -> None:
        axes.axis("off")
        found = self.samples(panel)
        for place, (target, sample) in enumerate(found):
            at = (place + 0.5) / len(found)
            text = shown(sample["value"], unit_of(panel))
            axes.text(at, 0.45, text, ha="center", va="center", size=17, color="#1864ab")
            if len(found) > 1:
                axes.text(at, 0.0, name_of(target, sample, self.variables), ha="center", size=8, color=INK)

    def _table(self, axes: Any, panel: Object) -> None:
        axes.axis("off")
        steps = {step["id"]: step["options"] for step in panel["transformations"]}
        found = [sample for _, sample in self.samples(panel)]
        if "groupingToMatrix" in steps:
            heads, lines = arrange_matrix(found, steps)
            decimals = panel["fieldConfig"]["defaults"].get("decimals")
            rows = [
                [name, *(shown(cells[c], "", decimals) if c in cells else "" for c in heads[1:])]
                for name, cells in lines
            ]
        else:
            labels = [name for name in steps["organize"]["indexByName"] if name != "Value"]
            heads = [*labels, steps["organize"]["renameByName"]["Value"]]
            rows = [[*(s["metric"].get(name, "") for name in labels), shown(s["value"], "")] for s in found]
        made = axes.table(
            cellText=rows[:12],
            colLabels=[
                fill_text(head, HEAD_CHARACTERS, break_on_hyphens=False, break_long_words=False)
                for head in heads
            ],
            loc="upper center",
            cellLoc="left",
            edges="horizontal",
        )
        made.auto_set_font_size(False)
        made.set_fontsize(8)
        for column in range(len(heads)):
            made[0, column].set_height(2 * made[0, column].get_height())

    def _lines(self, axes: Any, panel: Object) -> None:
        for target, sample in self.samples(panel):
            times = [datetime.fromtimestamp(at, UTC) for at, _ in sample["values"]]
            values = [float(value) for _, value in sample["values"]]
            label, marker = name_of(target, sample, self.variables)[:30], "o" if len(values) == 1 else None
            axes.plot(times, values, label=label, lw=1.3, marker=marker, ms=3)
        self._show_times(axes)
        axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit_of(panel)))
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        self._finish(axes)

    def _curves(self, axes: Any, panel: Object) -> None:
        by = next(
            s["options"]["fields"][0] for s in panel["transformations"] if s["id"] == "partitionByValues"
        )
        seconds: dict[tuple[str, str], float] = {}
        scores: dict[tuple[str, str], float] = {}
        for target, sample in self.samples(panel):
            where = (sample["metric"][by], sample["metric"]["point"])
            (seconds if target["refId"] == "A" else scores)[where] = sample["value"]
        for line in sorted({where[0] for where in seconds}):
            own = [where for where in seconds if where[0] == line and where in scores]
            points = sorted((seconds[where], scores[where]) for where in own)
            axes.plot(*zip(*points, strict=True), marker="o", ms=3, lw=1.3, label=line)
        axes.set_xscale("log")
        for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            # 1, 2 and 5 of each decade: with more, labels would lie over each other.
            set_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
        axes.set_xlabel("Seconds since the go", size=8)
        self._finish(axes)

    def _bars(self, axes: Any, panel: Object) -> None:
        found = self.samples(panel)
        names = [name_of(target, sample, self.variables) for target, sample in found]
        values = [sample["value"] for _, sample in found]
        most = max([*values, 1e-9])
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            axes.barh(place, value / most, color="#4c9f70", height=0.55)
            axes.text(0.01, place, f"{name}: {shown(value, unit_of(panel))}", va="center", size=9, color=INK)
        axes.set_ylim(-0.6, len(values) - 0.4)
        axes.axis("off")

    def _timeline(self, axes: Any, panel: Object) -> None:
        found = self.samples(panel)
        for place, (_, sample) in enumerate(found):
            times = [datetime.fromtimestamp(at, UTC) for at, _ in sample["values"]]
            under_way = [float(v) > 0 for _, v in sample["values"]]
            axes.fill_between(
                times, place - 0.35, place + 0.35, where=under_way, color="#4c9f70", step="post", lw=0
            )
        axes.set_yticks(range(len(found)), [name_of(t, s, self.variables) for t, s in found])
        self._show_times(axes)
        axes.set_ylim(-0.6, len(found) - 0.4)
        self._finish(axes, legend=False)

    def _show_times(self, axes: Any) -> None:
        axes.set_xlim(*self.span)
        axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=7))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))

    def _finish(self, axes: Any, legend: bool = True) -> None:
        axes.tick_params(labelsize=8, colors=INK)
        axes.grid(color=LINE, lw=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        names = axes.get_legend_handles_labels()[1]
        if legend and any(names):
            axes.legend(fontsize=7, frameon=False, loc="best", ncols=min(3, len(names)))


def main(folder: Path) -> None:
    for name, dashboard in read_dashboards().items():
        found = json.loads((folder / name).read_text())
        path = PICTURES / f"dashboard-{name.removeprefix('alcove-').removesuffix('.json')}.png"
        Picture(dashboard, found["variables"], found["answers"]).draw(path)
        print(path.relative_to(REPOSITORY))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

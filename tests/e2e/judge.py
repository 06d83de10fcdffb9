"""A second opinion on a board: scores and ranks from the stored predictions alone, in plain Python.

It follows docs/design.md ("Scoring", scheme ``hackathon``) and shares no code with the scorer.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
from minio import Minio


@dataclass(frozen=True)
class Judged:
    """What a team reaches in a phase."""

    alcs: dict[str, list[float]]
    """By dataset, one a repeat."""
    ranks: dict[str, float]
    mean_rank: float
    rank: int

    def mean(self, dataset: str) -> float:
        return fmean(self.alcs[dataset])

    def spread(self, dataset: str) -> float:
        return pstdev(self.alcs[dataset])


def judge(
    store: Minio, solutions: dict[str, str], teams: dict[str, str], repeats: int, budget: float
) -> dict[str, Judged]:
    """By team.

    Args:
        store: may read runs and solutions.
        solutions: digest of each dataset's, by alias.
        teams: UID of the Submission that counts, by team.
        repeats: runs on each dataset.
        budget: of a run, in seconds.
    """
    labels = {alias: _read_labels(store, digest) for alias, digest in solutions.items()}
    names = {alias: [alias, *(f"{alias}.{n}" for n in range(2, repeats + 1))] for alias in solutions}
    alcs = {
        team: {
            alias: [_area(_curve(store, uid, run, labels[alias], budget), budget) for run in names[alias]]
            for alias in solutions
        }
        for team, uid in teams.items()
    }
    ranks: dict[str, dict[str, float]] = {team: {} for team in teams}
    for alias in solutions:
        means = {team: fmean(alcs[team][alias]) for team in teams}
        for team, mean in means.items():
            better = sum(other > mean for other in means.values())
            equal = sum(other == mean for other in means.values())
            ranks[team][alias] = better + (equal + 1) / 2
    mean_ranks = {team: fmean(ranks[team].values()) for team in teams}
    return {
        team: Judged(
            alcs[team],
            ranks[team],
            mean_ranks[team],
            1 + sum(m < mean_ranks[team] for m in mean_ranks.values()),
        )
        for team in teams
    }


def _read(store: Minio, bucket: str, key: str) -> bytes:
    answer = store.get_object(bucket, key)
    try:
        return bytes(answer.read())
    finally:
        answer.close()


def _read_labels(store: Minio, digest: str) -> list[list[bool]]:
    text = _read(store, "alcove-solutions", f"solutions/{digest}").decode()
    return [[float(value) >= 0.5 for value in line.split()] for line in text.splitlines() if line.strip()]


def _curve(
    store: Minio, uid: str, run: str, labels: list[list[bool]], budget: float
) -> list[tuple[float, float]]:
    """(seconds since the go, score) of each prediction of the attempt that the verdict names."""
    verdict = json.loads(_read(store, "alcove", f"runs/{uid}/{run}/verdict.json"))
    prefix = f"runs/{uid}/{run}/{verdict['attempt']}-{verdict['pod_uid']}"
    points = {}
    for record in json.loads(_read(store, "alcove", f"{prefix}/manifest.json"))["records"]:
        if record["refused"] is None and record["seen_ns"] <= budget * 1e9:
            data = _read(store, "alcove", f"{prefix}/snap/{record['seq']:08d}.bin")
            said = np.load(io.BytesIO(data), allow_pickle=False).tolist()
            points[min(record["t_ns"] / 1e9, budget)] = _balanced_accuracy(labels, said)
    return sorted(points.items())


def _balanced_accuracy(labels: list[list[bool]], said: list[list[float]]) -> float:
    """Mean over the labels of half the sum of true positive and true negative rate."""
    rates = []
    for column in range(len(labels[0])):
        truth = [row[column] for row in labels]
        positive = [row[column] >= 0.5 for row in said]
        present = sum(truth)
        if 0 < present < len(truth):
            hits = sum(t and p for t, p in zip(truth, positive, strict=True)) / present
            rejections = sum(not t and not p for t, p in zip(truth, positive, strict=True)) / (
                len(truth) - present
            )
            rates.append((hits + rejections) / 2)
    return fmean(rates)


def _area(curve: list[tuple[float, float]], budget: float) -> float:
    """Under straight lines from (0, 0.5), over ln(1 + t) scaled to 1 at the budget; the last value is held."""
    points = [(0.0, 0.5), *((math.log1p(t) / math.log1p(budget), score) for t, score in curve)]
    points.append((1.0, points[-1][1]))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))

"""Several runs of one submission on one dataset, as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alcove_api.run_names import name_run
from alcove_api.score_documents import ScoredRun


@dataclass(frozen=True)
class DatasetRuns:
    """The repeats of a submission on one dataset."""

    run: ScoredRun
    """Stands for all: see :func:`average_repeats`."""
    spread: float | None
    """Standard deviation of their ALC, the population's; None where one has no score. 0 for a single run."""


def average_repeats(runs: Sequence[ScoredRun]) -> ScoredRun:
    """One run that stands for its repeats: their mean ALC and final score, and the curve of the middle one.

    A repeat without a score leaves no score: leaving it out would let a crash raise the mean.
    """
    for run in runs:
        if run.alc is None:
            return run
    ordered = sorted(runs, key=lambda run: run.alc or 0.0)
    return ordered[(len(ordered) - 1) // 2].replace(
        alc=sum(run.alc or 0.0 for run in runs) / len(runs),
        final_score=sum(run.final_score or 0.0 for run in runs) / len(runs),
    )


def combine_repeats_by_alias(
    runs: Iterable[ScoredRun], aliases: Sequence[str], repeats: int
) -> Mapping[str, DatasetRuns]:
    """By alias, of the datasets on which every repeat has ended; ``runs``: as they are named in the submission."""
    named = {run.alias: run for run in runs}
    found = {}
    for alias in aliases:
        wanted = [named.get(name_run(alias, repeat)) for repeat in range(1, repeats + 1)]
        mine = [run for run in wanted if run is not None]
        if len(mine) < repeats:
            continue
        known = [run.alc for run in mine if run.alc is not None]
        spread = float(np.std(known)) if len(known) == repeats else None
        found[alias] = DatasetRuns(average_repeats(mine).replace(alias=alias), spread)
    return found

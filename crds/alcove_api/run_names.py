"""Names of the runs of one Submission: one a dataset and repeat, unique within the Submission.

The first run on a dataset has the dataset's alias for its name, so a phase without repeats knows nothing of this. The
second and later ones have a dot and their number behind it, which no alias can have.
"""

from __future__ import annotations


def name_run(alias: str, repeat: int) -> str:
    """``repeat``: from 1."""
    return alias if repeat == 1 else f"{alias}.{repeat}"


def alias_of(run: str) -> str:
    """The dataset that the run is on."""
    return run.partition(".")[0]


def repeat_of(run: str) -> int:
    """Which repeat it is, from 1."""
    return int(run.partition(".")[2] or 1)


def list_run_names(aliases: tuple[str, ...], repeats: int) -> tuple[str, ...]:
    """All repeats of a dataset stand together, the datasets in their order."""
    return tuple(name_run(alias, repeat) for alias in aliases for repeat in range(1, repeats + 1))

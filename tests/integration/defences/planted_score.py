"""python planted_score.py score: the score job with a hole in it, for its tests alone.

Whoever has taken it over tries all that the files of its credentials give: to forge the score, the report and the
manifest of the Submission ``ALCOVE_VICTIM``, and a board, and to read the solution ``ALCOVE_SECRET_SOLUTION``. What
worked is written to ``ALCOVE_LOOT``.
"""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from minio import Minio

from alcove_api import keys
from alcove_scorer import jobs
from alcove_scorer.store import RunRecords
from alcove_store.client import connect, get_bytes, put_bytes
from alcove_store.errors import StoreDeniedError


def attempts(bucket: str, solutions: str) -> Iterator[tuple[str, Callable[[Minio], object]]]:
    victim = os.environ["ALCOVE_VICTIM"]
    forged = {
        "score": keys.score_result(victim, "0" * 16),
        "report": keys.report(victim),
        "manifest": keys.manifest(keys.attempt_prefix(victim, "one", 1, "pod")),
        "board": keys.board("", "hackathon", "practice", "table.json"),
    }
    for what, key in forged.items():
        yield what, partial(put_bytes, bucket=bucket, key=key, data=b"forged")
    secret = keys.solution(os.environ["ALCOVE_SECRET_SOLUTION"])
    yield "solution", partial(get_bytes, bucket=solutions, key=secret)


def attack() -> None:
    config, done = jobs.store_config(), set()
    for file in config.credentials.parent.glob("*.json"):
        store = connect(replace(config, credentials=file))
        for what, attempt in attempts(config.bucket, jobs.solutions_bucket()):
            with suppress(StoreDeniedError):
                attempt(store)
                done.add(what)
    Path(os.environ["ALCOVE_LOOT"]).write_text(json.dumps(sorted(done)))


if __name__ == "__main__":
    solution = RunRecords.solution

    def take_over(self: RunRecords, *arguments: object) -> object:
        attack()
        return solution(self, *arguments)  # type: ignore[arg-type]

    RunRecords.solution = take_over  # type: ignore[assignment,method-assign]
    runpy.run_module("alcove_scorer", run_name="__main__")

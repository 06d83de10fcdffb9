"""``python -m alcove_scorer score|aggregate|check|rescore|compare``: the scorer's jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

from alcove_api.errors import AlcoveError
from alcove_api.exit_statuses import ScorerExit
from alcove_scorer import jobs
from alcove_scorer.errors import InputError

JOBS = ("score", "aggregate", "check", "rescore", "compare")


def main(arguments: list[str]) -> int:
    """Runs one job and returns its exit status, having said in the termination message what went wrong."""
    try:
        if len(arguments) != 1 or arguments[0] not in JOBS:
            raise InputError(f"usage: python -m alcove_scorer {'|'.join(JOBS)}")
        if arguments[0] == "score":
            # It multiplies no matrices: the threads that BLAS starts, one a core, would only cost time and memory.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Only the job's own libraries are loaded: a scorer is started for every submission.
        run: Callable[[], int] = import_module(f"alcove_scorer.job_{arguments[0]}").run
        return run()
    except AlcoveError as error:
        jobs.write_termination_message(str(error))
        return exit_status(error)


def exit_status(error: AlcoveError) -> ScorerExit:
    """Says whose fault it is and whether another try helps."""
    if error.retriable:
        return ScorerExit.AWAY
    return ScorerExit.WRONG_REQUEST if isinstance(error, InputError) else ScorerExit.INPUT_DAMAGED


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written; to take apart what was loaded would cost a tenth of a second.
    os._exit(ended)

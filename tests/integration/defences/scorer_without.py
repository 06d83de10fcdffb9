"""python scorer_without.py DEFENCE TASK: a scorer job with one defence switched off, for its tests alone."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable

from alcove_api.run_documents import Record
from alcove_scorer import attempt_reader, store


def trust_any_chain() -> None:
    def extend(key: str, seq: int, head: str | None, record: Record) -> str:
        del key, seq, head
        return record.digest()

    for module in (store, attempt_reader):
        vars(module)["extend_chain"] = extend


SWITCHES: dict[str, Callable[[], None]] = {switch.__name__: switch for switch in (trust_any_chain,)}

if __name__ == "__main__":
    SWITCHES[sys.argv.pop(1)]()
    runpy.run_module("alcove_scorer", run_name="__main__")

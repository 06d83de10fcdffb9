"""The supervisor is written in C: its exit statuses are those that the operator reads."""

from __future__ import annotations

import re
from pathlib import Path

from alcove_api.exit_statuses import SupervisorExit

HEADER = Path(__file__).parents[3] / "images/supervisor/supervisor.h"


def test_the_supervisor_ends_with_the_statuses_that_the_operator_reads() -> None:
    block = re.search(r"enum exit_status \{(.*?)\}", HEADER.read_text(), re.DOTALL)
    assert block is not None
    found = {name: int(value) for name, value in re.findall(r"EXIT_(\w+) = (\d+)", block[1])}
    assert found == {status.name: status.value for status in SupervisorExit}

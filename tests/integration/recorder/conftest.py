from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from .harness import Recorder, recorder, run_config

Start = Callable[..., Recorder]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a recorder that writes to a folder; keyword arguments change its RunConfig."""

    def folder_recorder(
        environment: dict[str, str] | None = None,
        within: list[str] | None = None,
        program: list[str] | None = None,
        **changes: Any,
    ) -> AbstractContextManager[Recorder]:
        store = tmp_path / "store"

        def read(key: str) -> bytes | None:
            path = store / key
            return path.read_bytes() if path.exists() else None

        run = run_config(**changes)
        full = {"ALCOVE_STORE_ENDPOINT": store.as_uri(), **(environment or {})}
        return recorder(tmp_path, run, full, read, within, program)

    with ExitStack() as stack:
        yield lambda *args, **changes: stack.enter_context(folder_recorder(*args, **changes))

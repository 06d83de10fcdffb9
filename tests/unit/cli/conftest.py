"""Commands as they are typed, without a process for each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from alcove_cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command has printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


Typed = Callable[..., Done]


@pytest.fixture
def alcove(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs ``alcove`` with these arguments in this process."""

    def typed(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["alcove", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return typed

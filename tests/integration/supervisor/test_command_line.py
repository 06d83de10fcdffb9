from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from .harness import Workshop


def _call(binary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary), *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_install_copies_itself(shop: Workshop) -> None:
    target = shop.folder / "bin"
    target.mkdir()
    for _ in range(2):  # a second time as well: an init container may be run again
        assert _call(shop.binary, "install", str(target)).returncode == 0
    copy = target / "alcove-supervisor"
    assert os.listdir(target) == [copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o555
    assert copy.read_bytes() == shop.binary.read_bytes()


def test_install_into_nowhere_says_what_to_do(shop: Workshop) -> None:
    result = _call(shop.binary, "install", "/no/such/folder")
    assert result.returncode == 21
    assert "/no/such/folder" in result.stderr
    assert "Give a folder" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "--"],
        ["run", "--go", "maybe", "--", "true"],
        ["run", "--go-timeout", "soon", "--", "true"],
        ["run", "--seal-timeout", "-1", "--", "true"],
        ["run", "--log-limit", "1e9", "--", "true"],
        ["run", "--log-limit", "-5", "--", "true"],
        ["run", "--max-processes", "0", "--", "true"],
        ["run", "--max-file-size", "0", "--", "true"],
        ["run", *(["--writable", "/tmp"] * 9), "--", "true"],
        ["run", "--kill-scope", "all", "--", "true"],
        ["run", "--kill-scope", "pid1", "--", "true"],
        ["run", "--socket", "/" + "x" * 108, "--", "true"],
        ["run", "--no-such-option", "--", "true"],
        ["start"],
        [],
    ],
)
def test_what_cannot_be_meant_starts_nothing(shop: Workshop, arguments: list[str]) -> None:
    result = _call(shop.binary, *arguments)
    assert result.returncode == 21
    assert result.stderr != ""


def test_options_end_at_the_command(shop: Workshop) -> None:
    shop.recorder()
    run = shop.start("/bin/sh", "-c", 'echo "$@"', "sh", "--help", "--go", "x")
    assert run.wait() == 0
    assert run.stdout == b"--help --go x\n"


def test_help_names_every_exit_status(shop: Workshop) -> None:
    result = _call(shop.binary, "--help")
    assert result.returncode == 0
    assert all(f"{status} " in result.stdout for status in (0, 10, 11, 12, 20, 21))

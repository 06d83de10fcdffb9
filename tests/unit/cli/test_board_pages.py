"""`alcove board open`: the address of a board, or how to get to one that has no public address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, serving


def boards(url: str) -> Answer:
    rules: dict[str, Any] = {"boardUrl": url} if url else {}
    items = [
        {"spec": {"competition": "cup", "phase": name, "rules": rules}} for name in ("final", "practice")
    ]
    return Answer(body={"items": items})


@pytest.mark.parametrize(("phase", "path"), [((), "/"), (("practice",), "/cup/practice")])
def test_it_prints_the_address_of_a_board(
    alcove: Typed, tmp_path: Path, phase: tuple[str, ...], path: str
) -> None:
    with serving(boards("https://boards.example.org")) as server:
        options = ("--competition", "ns/cup", "--print", "--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("board", "open", *phase, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"https://boards.example.org{path}\n", "")


def test_where_there_is_no_public_address_it_says_how_an_organizer_gets_there(
    alcove: Typed, tmp_path: Path
) -> None:
    with serving(boards("")) as server:
        done = alcove(
            "board", "open", "final", "--competition", "ns/cup", "--kubeconfig", server.kubeconfig(tmp_path)
        )
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "no public address" in said
    assert "kubectl port-forward -n ns service/alcove-board 8000:80" in said
    assert "http://127.0.0.1:8000/cup/final" in said


def test_a_phase_that_there_is_not_is_named(alcove: Typed, tmp_path: Path) -> None:
    with serving(boards("https://boards.example.org")) as server:
        done = alcove(
            "board", "open", "semi", "--competition", "ns/cup", "--kubeconfig", server.kubeconfig(tmp_path)
        )
    assert done.returncode == 2
    assert "final, practice" in done.stderr

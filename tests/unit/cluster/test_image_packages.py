"""Each image carries those of our packages that its entry point imports, or participants' code, and no others."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.images import copied_sources
from tests.unit.docs.pages import REPOSITORY

IMAGES = sorted(
    path.parent.name for path in (REPOSITORY / "images").glob("*/Dockerfile") if '"-m"' in path.read_text()
)

FOR_PARTICIPANTS = {"ingestion": {"alcove_baselines"}}


def _find_packages() -> dict[str, Path]:
    found = [path.parent for path in REPOSITORY.glob("*/alcove_*/__init__.py")]
    found += [path.parent for path in REPOSITORY.glob("images/*/alcove_*/__init__.py")]
    return {folder.name: folder for folder in found}


PACKAGES = _find_packages()


def _find_file(module: str) -> Path | None:
    """None where ``module`` is not a module of ours."""
    package, *rest = module.split(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*rest)
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _runs(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and what is in it, without what only type checkers read."""
    yield node
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _runs(child)


def imported_modules(source: str) -> set[str]:
    """Modules that ``source`` names in imports, those within functions too. Of ``from a import b``, a and a.b."""
    found: set[str] = set()
    for node in _runs(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "only absolute imports are followed"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= _modules_named(node.args[0])
    return found


def _modules_named(name: ast.expr) -> set[str]:
    """Of ``f"package.start{rest}"``: all modules of ours whose names begin so. A variable names a participant's."""
    first = name.values[0] if isinstance(name, ast.JoinedStr) else name
    if not isinstance(first, ast.Constant):
        return set()
    package, _, start = str(first.value).partition(".")
    if package not in PACKAGES:
        return set()
    found = {f"{package}.{file.stem}" for file in PACKAGES[package].glob(f"{start}*.py")}
    assert found
    return found


def packages_needed(entry: str) -> set[str]:
    """Our packages that ``python -m entry`` can import."""
    waiting, seen = [f"{entry}.__main__"], set[str]()
    while waiting:
        module = waiting.pop()
        file = _find_file(module)
        if module in seen or file is None:
            continue
        seen.add(module)
        waiting += [module.rpartition(".")[0], *imported_modules(file.read_text())]
    return {module.partition(".")[0] for module in seen}


def test_imports_of_every_form_are_followed() -> None:
    source = """
from typing import TYPE_CHECKING
import a, b.c as d
if TYPE_CHECKING:
    import unread
else:
    import e
def late():
    from f import g
"""
    assert imported_modules(source) == {"typing", "typing.TYPE_CHECKING", "a", "b.c", "e", "f", "f.g"}


def test_the_images_that_run_python_are_found() -> None:
    assert IMAGES == ["board", "ingestion", "operator", "recorder", "scorer"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_carries_what_is_imported_there(image: str) -> None:
    dockerfile = (REPOSITORY / "images" / image / "Dockerfile").read_text()
    command = re.search(r"^ENTRYPOINT (\[.*\])", dockerfile, re.M)
    assert command
    entry = json.loads(command[1])[-1]
    copied = {name for source in copied_sources(dockerfile) if (name := Path(source).name) in PACKAGES}
    assert copied == packages_needed(entry) | FOR_PARTICIPANTS.get(image, set())

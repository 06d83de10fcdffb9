"""Nothing that we write names a file, a module, a name or a heading that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.unit.docs import references
from tests.unit.docs.pages import REPOSITORY, pages
from tests.unit.docs.project import Project

SOURCES = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "dev-mode-dirs"
]
PROJECT = Project(REPOSITORY, (*SOURCES, "."))
OTHER_KINDS = (".yaml", ".tpl", ".c", ".h", ".toml", ".sh")


def files(*endings: str) -> list[str]:
    return sorted(file for file in PROJECT.files if file.endswith(endings) and (REPOSITORY / file).is_file())


def test_pages_name_what_is_there() -> None:
    wrong = {page.name: references.in_page(PROJECT, page.name, page.text) for page in pages()}
    assert not {name: found for name, found in wrong.items() if found}


def test_docstrings_and_comments_name_what_is_there() -> None:
    python = [
        file
        for file in files(".py")
        if not file.endswith("_pb2.py") and not file.startswith("tests/unit/docs/")
    ]
    wrong = {file: references.in_python(PROJECT, file, (REPOSITORY / file).read_text()) for file in python}
    assert not {name: found for name, found in wrong.items() if found}


def test_other_files_name_what_is_there() -> None:
    commented = [*files(*OTHER_KINDS), *files("Dockerfile", "Makefile", "NOTES.txt")]
    wrong = {file: references.in_comments(PROJECT, (REPOSITORY / file).read_text()) for file in commented}
    assert not {name: found for name, found in wrong.items() if found}


def test_the_architecture_shows_every_package_and_its_layer() -> None:
    linter = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers")
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    section = page.split("\n## Packages\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `.*?` \| `(alcove_\w+)`", section, re.M)) == set(linter["root_packages"])
    drawn = [re.findall(r"alcove_\w+", line) for line in section.splitlines() if line.startswith("│")]
    assert [set(names) for names in drawn] == [set(layer.split(" | ")) for layer in layers]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository with one package, one page and one test."""
    (tmp_path / "lib" / "alcove_x").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "lib/alcove_x/__init__.py").write_text("")
    (tmp_path / "lib/alcove_x/errors.py").write_text("class Base:\n    cause = 1\n")
    (tmp_path / "lib/alcove_x/store.py").write_text(
        "from alcove_x import errors\nfrom alcove_x.errors import Base\nclass Store(Base):\n    def get(self): ...\n"
    )
    (tmp_path / "docs/design.md").write_text("# Design\n\n## Object store\n\n```sh\n# No heading\n```\n")
    return Project(tmp_path, ("lib",))


@pytest.mark.parametrize(
    "text",
    [
        "`lib/alcove_x/store.py`", "`lib/alcove_x/`", "`store.py`", "`alcove_x/store.py`", "`alcove_x.store.Store.get`",
        "[store.py](../lib/alcove_x/store.py)", "[design](design.md#object-store)", 'docs/design.md, "Object store"',
        "`model.py`", "lib/alcove_x/errors.py", "`alcove_x`", "`lib/*/store.py`", "https://example.org/lib/gone.py",
        "```sh\nlib/gone.py\n```",
    ],
)  # fmt: skip
def test_a_right_page_passes(project: Project, text: str) -> None:
    assert references.in_page(project, "docs/page.md", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "`lib/alcove_x/gone.py`", "`lib/alcove_y/`", "`gone.py`", "`alcove_x/gone.py`", "`alcove_x.store.Gone`",
        "`alcove_x.store.Store.gone`", "`alcove_x.gone`", "alcove_x.gone.Name", "`alcove_y`", "alcove_y",
        "lib/alcove_x/gone.py",
        "[gone.py](../lib/alcove_x/store.py)", "[store](../lib/alcove_x/gone.py)", "[design](design.md#gone)",
        "[here](#gone)", 'docs/design.md, "Gone"', 'docs/gone.md, "Object store"', "`lib/*/gone.py`",
        'docs/design.md, "Object store" and "Gone"', "[design](design.md#no-heading)",
    ],
)  # fmt: skip
def test_a_wrong_name_in_a_page_is_found(project: Project, text: str) -> None:
    assert len(references.in_page(project, "docs/page.md", text)) == 1


NAMES = [
    "Store",
    "Base",
    "Store.get",
    "Store.cause",
    "errors.Base",
    "errors",
    ".errors",
    "get",
    "alcove_x.errors.Base",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_right_role_passes(project: Project, name: str) -> None:
    source = (project.root / "lib/alcove_x/store.py").read_text()
    text = f'"""See :class:`{name}`."""\n{source}'
    assert references.in_python(project, "lib/alcove_x/store.py", text) == []


@pytest.mark.parametrize(
    "name", ["Gone", "Store.gone", "errors.Gone", ".gone", "alcove_x.gone", "gone", "Base.gone"]
)
def test_a_wrong_role_is_found(project: Project, name: str) -> None:
    source = (project.root / "lib/alcove_x/store.py").read_text()
    text = f'{source}\n\n\ndef f():\n    """Raises :class:`{name}`."""\n'
    assert references.in_python(project, "lib/alcove_x/store.py", text) == [f":role:`{name}`"]


@pytest.mark.parametrize(
    "source",
    [
        "# See lib/alcove_x/gone.py.\n", "x = 1  # As ``gone.py`` has it.\n", 'x = 1\n"""Of ``alcove_x.gone``."""\n',
        '# As docs/design.md,\n# "Gone", says.\n', 'def f():\n    """See docs/design.md, "Gone"."""\n',
    ],
)  # fmt: skip
def test_a_wrong_name_in_a_comment_or_docstring_is_found(project: Project, source: str) -> None:
    assert len(references.in_python(project, "lib/alcove_x/new.py", source)) == 1


def test_code_and_strings_are_not_prose(project: Project) -> None:
    assert references.in_python(project, "lib/alcove_x/new.py", 'x = "lib/alcove_x/gone.py"\n') == []


def test_a_wrong_path_in_another_file_is_found(project: Project) -> None:
    assert references.in_comments(project, "# see docs/gone.md\nCOPY lib/alcove_x/store.py /x\n") == [
        "docs/gone.md"
    ]

"""An image is built again exactly when something that its build can see has changed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.console import ClusterError
from tests.cluster.images import Image, content_key, copied_sources, ignored_by, project_images
from tests.cluster.versions import REPOSITORY

DOCKERFILE = """\
ARG BASE=debian
FROM ${BASE} AS build
COPY --chown=1:1 locks/a.txt \\
     /tmp/
COPY ["with space.txt", "/tmp/"]
COPY src /src
FROM ${BASE}
COPY --from=build /src /src
"""


@pytest.fixture
def image(tmp_path: Path) -> Image:
    for name in ("locks/a.txt", "with space.txt", "src/main.py", "src/deep/more.py", "other.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(DOCKERFILE)
    return Image("a", dockerfile, tmp_path)


def test_copied_sources_leave_out_other_stages_and_flags() -> None:
    assert copied_sources(DOCKERFILE) == ["locks/a.txt", "with space.txt", "src"]


def _edit(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text("changed")


@pytest.mark.parametrize(
    "change",
    [
        _edit("locks/a.txt"),
        _edit("with space.txt"),
        _edit("src/deep/more.py"),
        _edit("src/new.py"),
        lambda root: (root / "src/main.py").rename(root / "src/renamed.py"),
        lambda root: (root / "src/main.py").chmod(0o755),
        lambda root: (root / "Dockerfile").write_text(DOCKERFILE + "USER 1\n"),
    ],
)
def test_what_the_build_sees_changes_the_key(image: Image, change: Callable[[Path], object]) -> None:
    before = content_key(image, "base")
    change(image.context)
    assert content_key(image, "base") != before


@pytest.mark.parametrize("name", ["other.py", "src/out.log"])
def test_what_the_build_cannot_see_does_not(image: Image, name: str) -> None:
    (image.context / ".dockerignore").write_text("*/*.log\n")
    before = content_key(image, "base")
    _edit(name)(image.context)
    assert content_key(image, "base") == before


def test_base_and_arguments_are_part_of_the_key(image: Image) -> None:
    variant = Image("a", image.dockerfile, image.context, {"LOCK": "gpu"})
    keys = {content_key(image, "base"), content_key(image, "other base"), content_key(variant, "base")}
    assert len(keys) == 3


def test_a_build_argument_in_a_path_stands_for_its_value(image: Image) -> None:
    image.dockerfile.write_text("ARG WHAT=a\nCOPY locks/${WHAT}.txt /\n")
    (image.context / "locks" / "b.txt").write_text("b")
    variant = Image("a", image.dockerfile, image.context, {"WHAT": "b"})
    before, other = content_key(image, "base"), content_key(variant, "base")
    _edit("other.py")(image.context)
    assert (content_key(image, "base"), content_key(variant, "base")) == (before, other)
    _edit("locks/a.txt")(image.context)
    assert content_key(image, "base") != before
    assert content_key(variant, "base") == other


def test_a_variable_in_a_path_makes_everything_count(image: Image) -> None:
    image.dockerfile.write_text("COPY ${WHAT} /\n")
    before = content_key(image, "base")
    _edit("other.py")(image.context)
    assert content_key(image, "base") != before


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("out", "out", True),
        ("out", "out/deep/file", True),
        ("out", "src/out", False),
        ("**/__pycache__", "a/b/__pycache__/c.pyc", True),
        ("images/supervisor/build", "images/supervisor/build/x", True),
        ("images/supervisor/build", "images/supervisor/main.c", False),
    ],
)
def test_dockerignore(pattern: str, path: str, expected: bool) -> None:
    assert ignored_by([pattern], path) is expected


def test_an_exception_in_dockerignore_ignores_nothing() -> None:
    assert not ignored_by(["out", "!out/keep"], "out/x")


def _project(root: Path, variants: dict[str, object] | None) -> Path:
    folder = root / "images" / "ingestion"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    if variants is not None:
        (folder / "variants.json").write_text(json.dumps(variants))
    return root


def test_variants_choose_names_and_arguments(tmp_path: Path) -> None:
    variants: dict[str, object] = {"ingestion": {"LOCK": "cpu"}, "ingestion-gpu": {"LOCK": "gpu"}}
    root = _project(tmp_path, {**variants, "throwaway": ["ingestion"]})
    assert [(i.name, i.arguments) for i in project_images(root)] == [("ingestion", {"LOCK": "cpu"})]
    assert [i.name for i in project_images(root, every_variant=True)] == list(variants)


def test_the_packages_that_variants_share_are_never_replaced_by_their_own() -> None:
    """Else a layer would hold them twice."""

    def packages(lock: str) -> set[str]:
        lines = (REPOSITORY / "locks" / f"{lock}.txt").read_text().splitlines()
        return {line.partition(" ")[0] for line in lines if line[:1].isalnum()}

    dockerfile = (REPOSITORY / "images" / "ingestion" / "Dockerfile").read_text()
    (shared,) = re.findall(r"^ARG SHARED=(\S+)", dockerfile, re.MULTILINE)
    variants = [image for image in project_images(every_variant=True) if image.name.startswith("ingestion")]
    assert packages("ingestion-numpy") < packages("ingestion")
    for image in variants:
        assert packages(image.arguments.get("SHARED", shared)) <= packages(image.arguments["LOCK"])


def test_without_variants_the_folder_names_the_image(tmp_path: Path) -> None:
    assert [i.name for i in project_images(_project(tmp_path, None))] == ["ingestion"]


def test_an_unknown_variant_is_told(tmp_path: Path) -> None:
    root = _project(tmp_path, {"ingestion": {}, "throwaway": ["ingestion-tpu"]})
    with pytest.raises(ClusterError, match="ingestion-tpu"):
        project_images(root)

"""What `make images` builds for whom, and that the chart takes the values that it prints."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.cluster import __main__, publish
from tests.cluster.console import ClusterError
from tests.cluster.images import Image, project_images
from tests.cluster.versions import REPOSITORY
from tests.unit.helm.chart import template

DIGEST = f"sha256:{'0' * 64}"


def test_the_chart_takes_the_values_and_names_no_other_image() -> None:
    names = [image.name for image in project_images(every_variant=True)]
    references = {
        publish.value_name(name): f"registry.example.org/alcove/{name}@{DIGEST}"
        for name in names
        if name not in publish.NOT_IN_VALUES
    }
    for kind in ("seaweedfs", "minio"):
        values = yaml.safe_load(publish.values(references)) | {"store": {"kind": kind}}
        done = template(values)
        assert done.returncode == 0, done.stderr
        in_pods = set(re.findall(r"image: \"?([^\s\"]+)", done.stdout))
        in_jobs = set(re.findall(r"name: ALCOVE_IMAGE_(?!PULL)\w+, value: \"([^\"]*)\"", done.stdout))
        assert in_pods
        assert in_jobs
        assert in_pods | in_jobs <= set(references.values())


class Registry:
    """Takes what is pushed: the digest says when."""

    def __init__(self) -> None:
        self.pushed: list[str] = []

    def make(self, _image: Image, reference: str, _arch: str) -> str:
        self.pushed.append(reference)
        return f"sha256:{len(self.pushed):064}"


def record(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, script: str) -> Path:
    """Puts a program of that name first on the PATH, which writes down how it was called; the file that it writes.

    What Docker and Buildah do with a registry is not tried: neither has one here.
    """
    calls, binary = folder / f"{program}.calls", folder / "bin" / program
    binary.parent.mkdir(exist_ok=True)
    binary.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{script}\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(binary.parent), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return calls


DOCKER = f"""test "$1" = inspect || exit 0
echo '["elsewhere.example.org/board@sha256:{"1" * 64}", "'${{4%:*}}'@{DIGEST}"]'"""


def test_docker_builds_for_the_processor_pushes_and_says_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(tmp_path, monkeypatch, "docker", DOCKER)
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")
    where, bases = "registry.example.org/alcove", {"BASE": "py:1", "GO": "go:1"}
    said = publish.publish(
        where, only=["board", "seaweedfs"], arch="arm64", bases=bases, progress=lambda _: None
    )
    assert said == {name: f"{where}/{name}@{DIGEST}" for name in ("board", "seaweedfs")}
    wanted = ["info"]
    for name, argument in (("board", "BASE=py:1"), ("seaweedfs", "GO=go:1")):
        reference = f"{where}/{name}:{publish.version()}-arm64"
        file = REPOSITORY / "images" / name / "Dockerfile"
        wanted += [
            f"build --platform linux/arm64 --build-arg {argument} -f {file} -t {reference} {REPOSITORY}",
            f"push {reference}",
            f"inspect --format {{{{json .RepoDigests}}}} {reference}",
        ]
    assert calls.read_text().splitlines() == wanted


def test_an_image_whose_digest_docker_does_not_say_is_named_in_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, monkeypatch, "docker", 'test "$1" != inspect || echo "[]"')
    with pytest.raises(ClusterError, match="does not say by which digest"):
        publish.publish(
            "registry.example.org/alcove", only=["board"], builder="docker", progress=lambda _: None
        )


def test_buildah_is_taken_where_no_docker_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, monkeypatch, "docker", "exit 1")
    # Of `push TLS --digestfile FILE …` the fourth word is the file.
    calls = record(tmp_path, monkeypatch, "buildah", f'test "$1" != push || printf %s {DIGEST} > "$4"')
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")
    where = "registry.example.org/alcove"
    said = publish.publish(where, only=["board"], progress=lambda _: None)
    assert said == {"board": f"{where}/board@{DIGEST}"}
    built, pushed = calls.read_text().splitlines()
    reference = f"{where}/board:{publish.version()}"
    assert built.startswith(
        "bud --layers --platform linux/amd64 --build-arg BUILDPLATFORM=linux/amd64 --file "
    )
    assert built.endswith(f"--tag {reference} {REPOSITORY}")
    assert pushed.startswith("push --tls-verify=true --digestfile ")
    assert pushed.endswith(f" {reference} docker://{reference}")


def test_each_call_leaves_what_others_have_put_into_the_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry, file = Registry(), tmp_path / "images.yaml"
    monkeypatch.setattr(publish, "find_builder", lambda *_: registry)
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")

    def call(*arguments: str) -> None:
        argv = ["tests.cluster", "publish", "registry.example.org/alcove", "--values", str(file), *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        assert __main__.main() == 0

    call()
    usual = yaml.safe_load(file.read_text())["images"]
    call("--only", "ingestion-torch,board")
    both = yaml.safe_load(file.read_text())["images"]
    assert both.keys() == usual.keys() | {"ingestionTorch"}
    assert {name for name in usual if both[name] != usual[name]} == {"board"}
    call("--arch", "arm64")
    call("--arch", "arm64", "--only", "operator")
    assert yaml.safe_load(file.read_text())["images"] == both
    other = yaml.safe_load((tmp_path / "images-arm64.yaml").read_text())["images"]
    assert other.keys() == {*publish.CROSS_BUILT, "operator"}


def test_a_file_that_has_no_values_of_images_stays(tmp_path: Path) -> None:
    for text in ("store: {}\n", "[", "text", "images: 5"):
        file = tmp_path / "images.yaml"
        file.write_text(text)
        with pytest.raises(ClusterError, match="stays as it is"):
            publish.read_values(file)
        assert file.read_text() == text


def test_for_another_processor_only_what_needs_none_of_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")
    assert {image.name for image in publish.choose_images(None, "arm64")} == set(publish.CROSS_BUILT)
    usual = {image.name for image in publish.choose_images(None, "amd64")}
    assert usual >= {"operator", "recorder", "scorer", "ingestion", "board", *publish.CROSS_BUILT}
    assert not usual & set(publish.NOT_IN_VALUES)
    assert [image.name for image in publish.choose_images(["board"], "arm64")] == ["board"]


def test_every_base_is_pinned_and_each_kind_is_one() -> None:
    found: dict[str, set[str]] = {}
    for image in project_images(every_variant=True):
        text = image.dockerfile.read_text()
        bases = dict(re.findall(r"^ARG (BASE|GO)=(\S+)$", text, re.MULTILINE))
        for name, reference in bases.items():
            assert re.fullmatch(r"docker\.io/library/[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", reference), (
                image.name
            )
            found.setdefault(name, set()).add(reference)
        stages = set(re.findall(r" AS (\w+)$", text, re.MULTILINE))
        allowed = {"scratch", *stages, *(f"${{{name}}}" for name in bases)}
        assert set(re.findall(r"^FROM (?:--\S+ )?(\S+)", text, re.MULTILINE)) <= allowed, image.name
    assert {name: len(references) for name, references in found.items()} == {"BASE": 1, "GO": 1}


@pytest.mark.parametrize("store", publish.CROSS_BUILT)
def test_the_pinned_go_builds_the_module(store: str) -> None:
    """The official image takes no other Go than its own (GOTOOLCHAIN=local)."""
    folder = REPOSITORY / "images" / store
    image = re.search(
        r"^ARG GO=docker\.io/library/golang:([\d.]+)-", (folder / "Dockerfile").read_text(), re.MULTILINE
    )
    needed = re.search(r"^go ([\d.]+)$", (folder / "go.mod").read_text(), re.MULTILINE)
    assert image
    assert needed
    assert [*map(int, image[1].split("."))] >= [*map(int, needed[1].split("."))]


def test_another_base_is_handed_to_those_that_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")
    chosen = publish.choose_images(["seaweedfs", "board", "ingestion"], "amd64")
    plain = [image.arguments for image in chosen]
    assert [publish.on_bases(image, {}).arguments for image in chosen] == plain
    bases = {"BASE": "py:1", "GO": "go:1"}
    store, board, ingestion = (publish.on_bases(image, bases).arguments for image in chosen)
    assert store == plain[0] | {"GO": "go:1"}
    assert board == plain[1] | {"BASE": "py:1"}
    assert ingestion == plain[2] | {"BASE": "py:1"}
    with pytest.raises(ClusterError, match="neither --base nor --go"):
        publish.publish("registry.example.org/alcove", builder="local", bases={"BASE": "py:1"})


def test_a_name_that_there_is_not_is_said() -> None:
    with pytest.raises(ClusterError, match="no image named bord"):
        publish.choose_images(["bord"], "amd64")


def test_chart_images_program_and_changes_have_one_version() -> None:
    chart = yaml.safe_load((REPOSITORY / "helm/alcove/Chart.yaml").read_text())
    program = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert {chart["version"], chart["appVersion"], program, newest[1]} == {publish.version()}
    tag = re.compile(r"(?:operator|<name>):(\d+\.\d+\.\d+)")
    named = {page.name: set(tag.findall(page.read_text())) for page in (REPOSITORY / "docs").glob("*.md")}
    assert named["install.md"]
    assert set().union(*named.values()) == {publish.version()}, named

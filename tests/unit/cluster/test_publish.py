"""What `make images` builds for whom, and that the chart takes the values that it prints."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.cluster import publish
from tests.cluster.console import ClusterError
from tests.cluster.images import project_images
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
        found = set(re.findall(r"image: \"?([^\s\"]+)", done.stdout))
        assert found
        assert found <= set(references.values())


def test_for_another_processor_only_what_needs_none_of_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.cluster.buildah.platform", lambda: "linux/amd64")
    assert {image.name for image in publish.choose_images(None, "arm64")} == set(publish.CROSS_BUILT)
    usual = {image.name for image in publish.choose_images(None, "amd64")}
    assert usual >= {"operator", "recorder", "stager", "scorer", "ingestion", "board", *publish.CROSS_BUILT}
    assert not usual & set(publish.NOT_IN_VALUES)
    assert [image.name for image in publish.choose_images(["board"], "arm64")] == ["board"]


def test_a_name_that_there_is_not_is_said() -> None:
    with pytest.raises(ClusterError, match="no image named bord"):
        publish.choose_images(["bord"], "amd64")


def test_chart_images_program_and_changes_have_one_version() -> None:
    chart = yaml.safe_load((REPOSITORY / "helm/alcove/Chart.yaml").read_text())
    program = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert {chart["version"], chart["appVersion"], program, newest[1]} == {publish.version()}

"""``make images``: builds the project's images, pushes them to a registry, and prints the values that name them.

Docker or Buildah builds on the images that the Dockerfiles name. ``local`` builds as for the throwaway cluster, on a
base of Debian's own packages and this machine's Go, so no registry is asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import yaml

from . import buildah
from .binaries import binaries, locked
from .console import ClusterError, Progress, run, run_logged, say, step
from .images import Image, build, content_key, own_tag, project_images
from .versions import REPOSITORY, binary_path, cache_dir

BuilderName = Literal["docker", "buildah", "local"]
CROSS_BUILT = ("minio", "seaweedfs")
"""Images that need nothing of the other processor to be built. The others run programs of their own base."""
NOT_IN_VALUES = ("supervisor",)
"""Images that no value of the chart names."""


class Builder(Protocol):
    def make(self, image: Image, reference: str, arch: str) -> str:
        """Builds the image and pushes it as ``reference``; returns the digest."""


def docker_build(image: Image, reference: str, arch: str, progress: Progress) -> None:
    """Builds on the images that the Dockerfile names, and leaves the image in Docker's own store."""
    arguments = [f"{name}={value}" for name, value in image.arguments.items()]
    flags = [flag for argument in arguments for flag in ("--build-arg", argument)]
    named = [*flags, "-f", str(image.dockerfile), "-t", reference, str(image.context)]
    _logged(f"building {reference}", ["docker", "build", "--platform", f"linux/{arch}", *named], progress)


@dataclass(frozen=True)
class Docker:
    progress: Progress

    def make(self, image: Image, reference: str, arch: str) -> str:
        docker_build(image, reference, arch, self.progress)
        _logged(f"pushing {reference}", ["docker", "push", reference], self.progress)
        found = run(["docker", "inspect", "--format", "{{json .RepoDigests}}", reference])
        repository = reference.rpartition(":")[0]
        digests = [name.rpartition("@")[2] for name in json.loads(found) if name.startswith(f"{repository}@")]
        if not digests:
            raise ClusterError(
                f"Docker has pushed {reference} and does not say by which digest, so no value can name it. Update "
                "Docker, or build with --builder buildah."
            )
        return str(digests[0])


@dataclass(frozen=True)
class Buildah:
    progress: Progress
    local: bool = False

    def make(self, image: Image, reference: str, arch: str) -> str:
        tag = self._build_local(image, arch) if self.local else self._build(image, reference, arch)
        with tempfile.NamedTemporaryFile() as digest:
            argv = ["push", _tls(reference), "--digestfile", digest.name, tag, f"docker://{reference}"]
            _logged(f"pushing {reference}", self._command(*argv), self.progress)
            return Path(digest.name).read_text().strip()

    def _command(self, *arguments: str | Path) -> list[str | Path]:
        return [*buildah.command(*arguments)] if self.local else ["buildah", *arguments]

    def _build(self, image: Image, reference: str, arch: str) -> str:
        arguments = {"BUILDPLATFORM": buildah.platform(), **image.arguments}
        flags = [flag for name, value in arguments.items() for flag in ("--build-arg", f"{name}={value}")]
        argv: list[str | Path] = [
            "bud",
            "--layers",
            "--platform",
            f"linux/{arch}",
            *flags,
            "--file",
            image.dockerfile,
        ]
        _logged(
            f"building {reference}", self._command(*argv, "--tag", reference, image.context), self.progress
        )
        return reference

    def _build_local(self, image: Image, arch: str) -> str:
        with locked(buildah.root() / ".lock", self.progress, "building images"):
            foreign = "" if f"linux/{arch}" == buildah.platform() else arch
            tag = own_tag(image, content_key(image, buildah.base(self.progress)), foreign)
            if buildah.image_id(tag) is None:
                build(image, tag, self.progress, foreign)
        return tag


def _logged(what: str, argv: Sequence[str | Path], progress: Progress) -> None:
    log = cache_dir() / "log" / f"publish-{re.sub(r'[^a-z0-9]+', '-', what.lower())[:80]}.log"
    with step(progress, what):
        run_logged(argv, log, what.capitalize())


def _is_loopback(reference: str) -> bool:
    return reference.startswith(("localhost:", "127.0.0.1:"))


def _tls(reference: str) -> str:
    """As Docker does, plain HTTP is spoken with a registry on this machine alone."""
    return f"--tls-verify={'false' if _is_loopback(reference) else 'true'}"


def find_builder(name: BuilderName | None, progress: Progress) -> Builder:
    """As asked for, or Docker where one answers, or Buildah. Raises :class:`ClusterError` if there is none."""
    if name is None:
        answers = (
            shutil.which("docker")
            and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
        )
        name = "docker" if answers else "buildah" if shutil.which("buildah") else None
    if name is None:
        raise ClusterError(
            "Neither a Docker that answers nor Buildah is on this machine, so no image can be built. "
            "Install one of them."
        )
    return Docker(progress) if name == "docker" else Buildah(progress, local=name == "local")


def value_name(image: str) -> str:
    """The key of the chart's ``images`` that names it, such as ingestionTorch; one for GPUs takes the other's place."""
    first, *rest = image.removesuffix("-gpu").split("-")
    return first + "".join(word.capitalize() for word in rest)


def version() -> str:
    """The chart's, which is the images' tag."""
    found = re.search(
        r'^appVersion: "(.+)"$', (REPOSITORY / "helm/alcove/Chart.yaml").read_text(), re.MULTILINE
    )
    assert found
    return found[1]


def choose_images(only: Sequence[str] | None, arch: str) -> list[Image]:
    """Those asked for, or all that the chart installs. Raises :class:`ClusterError` for a name that there is not."""
    available = {image.name: image for image in project_images(every_variant=True)}
    usual = [image.name for image in project_images() if image.name not in NOT_IN_VALUES]
    wanted = list(usual if only is None else only)
    if f"linux/{arch}" != buildah.platform() and only is None:
        wanted = [name for name in wanted if name in CROSS_BUILT]
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise ClusterError(
            f"There is no image named {', '.join(unknown)}, so nothing was built. "
            f"The images are: {', '.join(available)}."
        )
    return [available[name] for name in wanted]


def on_bases(image: Image, bases: Mapping[str, str]) -> Image:
    """The image, built on others than its Dockerfile pins; ``bases`` by the argument that names them there."""
    taken = re.findall(r"^ARG (BASE|GO)=", image.dockerfile.read_text(), re.MULTILINE)
    chosen = {name: other for name, other in bases.items() if name in taken}
    return replace(image, arguments=image.arguments | chosen)


def describe(reference: str, folder: Path, name: str, progress: Progress) -> None:
    """Writes the list of what is in a pushed image, in CycloneDX's JSON, as Syft finds it."""
    binaries(["syft"], progress)
    target = folder / f"{name}.cdx.json"
    environment = dict(os.environ, SYFT_CHECK_FOR_APP_UPDATE="false")
    if _is_loopback(reference):
        environment["SYFT_REGISTRY_INSECURE_USE_HTTP"] = "true"
    argv: list[str | Path] = [
        binary_path("syft"),
        "scan",
        f"registry:{reference}",
        "-q",
        "-o",
        f"cyclonedx-json={target}",
    ]
    with step(progress, f"describing {name}"):
        run_logged(argv, cache_dir() / "log" / f"sbom-{name}.log", f"Describing {name}", env=environment)


def publish(
    registry: str,
    *,
    tag: str = "",
    arch: str = "amd64",
    only: Sequence[str] | None = None,
    builder: BuilderName | None = None,
    sbom: Path | None = None,
    bases: Mapping[str, str] | None = None,
    progress: Progress = say,
) -> dict[str, str]:
    """Builds and pushes; returns the references by digest, by the key of the chart's ``images``.

    Args:
        registry: with the path below it: registry.example.org/alcove.
        tag: by default the chart's version, and the processor's name where it is another than this one's.
        arch: processor of the cluster: amd64 or arm64.
        only: names of images; by default all that the chart installs and that can be built for that processor here.
        builder: by default Docker or Buildah, whichever is there.
        sbom: folder for a list of what is in each image.
        bases: images to build on in place of those that the Dockerfiles pin: BASE, with Python, and GO.
        progress: where to say what is done.

    Raises:
        ClusterError: something could not be built or pushed, with the end of its log; or a base was given to
            ``local``, which has its own.
    """
    if builder == "local" and bases:
        raise ClusterError(
            "The builder local makes its base from Debian's packages, so it takes neither --base nor --go. "
            "Leave them out, or build with Docker or Buildah."
        )
    chosen = [on_bases(image, bases or {}) for image in choose_images(only, arch)]
    makes = find_builder(builder, progress)
    foreign = f"linux/{arch}" != buildah.platform()
    tag = tag or version() + (f"-{arch}" if foreign else "")
    references: dict[str, str] = {}
    for image in chosen:
        digest = makes.make(image, f"{registry}/{image.name}:{tag}", arch)
        references[value_name(image.name)] = f"{registry}/{image.name}@{digest}"
        if sbom:
            sbom.mkdir(parents=True, exist_ok=True)
            describe(references[value_name(image.name)], sbom, image.name, progress)
    return references


def values_file(file: Path, arch: str) -> Path:
    """Where the values for a processor are: each but amd64 has a file of its own, images-arm64.yaml."""
    return file if arch == "amd64" else file.with_stem(f"{file.stem}-{arch}")


def read_values(file: Path) -> dict[str, str]:
    """What earlier calls have put there; empty where there is no file. Raises :class:`ClusterError` for another."""
    if not file.exists():
        return {}
    try:
        return dict(yaml.safe_load(file.read_text())["images"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"{file} does not have the values of images, so it stays as it is, and nothing was built. "
            "Move it away, or give another with --values."
        ) from error


def values(references: dict[str, str]) -> str:
    """As YAML, for ``helm install -f``."""
    return (
        "\n".join(["images:", *(f"  {name}: {reference}" for name, reference in references.items())]) + "\n"
    )

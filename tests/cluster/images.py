"""Builds the project's images from their real Dockerfiles and pushes them to a cluster's registry."""

from __future__ import annotations

import fnmatch
import hashlib
import http.client
import json
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import buildah
from .binaries import binaries, locked
from .config import registry_storage
from .console import ClusterError, Progress, run_logged, say, step
from .layout import Cluster, is_running, known_names
from .node_config import PAUSE_IMAGE, pause_archive
from .versions import BY_NAME, REPOSITORY, binary_path, cache_dir

OWN_IMAGES = Path(__file__).parent / "images"
_MANIFESTS = ", ".join(
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"]
)
# Never part of an image, yet changed by merely running things.
_IGNORED = {".git", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"}


@dataclass(frozen=True)
class Image:
    """One image to build: a Dockerfile, its context, and its build arguments."""

    name: str
    dockerfile: Path
    context: Path
    arguments: dict[str, str] = field(default_factory=dict)
    # The program of ours that is copied into the context first, if any.
    binary: str = ""


def project_images(repository: Path = REPOSITORY, every_variant: bool = False) -> list[Image]:
    """Every images/<name>/Dockerfile, or its variants where images/<name>/variants.json names some.

    Args:
        every_variant: also those that are too large to be built for every cluster.
    """
    found: list[Image] = []
    for dockerfile in sorted((repository / "images").glob("*/Dockerfile")):
        listing = dockerfile.with_name("variants.json")
        variants: dict[str, dict[str, str]] = {dockerfile.parent.name: {}}
        if listing.exists():
            content = json.loads(listing.read_text())
            wanted = content.pop("throwaway", list(content))
            unknown = [name for name in wanted if name not in content]
            if unknown:
                raise ClusterError(
                    f"{listing} asks for {', '.join(unknown)} in the throwaway cluster, but describes no such variant, "
                    "so it cannot be built. Add the variant or take its name out of 'throwaway'."
                )
            variants = {name: content[name] for name in (content if every_variant else wanted)}
        found += [Image(name, dockerfile, repository, dict(args)) for name, args in variants.items()]
    return found


def own_image(name: str) -> Image:
    """One that holds a cached program, and that only the throwaway cluster needs."""
    context = cache_dir() / "images" / "context" / name
    return Image(name, OWN_IMAGES / name / "Dockerfile", context, binary=name)


def own_images() -> list[Image]:
    """What every node has."""
    return [own_image("pause")]


def copied_sources(dockerfile: str) -> list[str]:
    """What a Dockerfile copies from its context; layers copied from other stages are not among it."""
    joined = re.sub(r"\\\s*\n", " ", dockerfile)
    sources: list[str] = []
    for line in joined.splitlines():
        match = re.match(r"\s*(?:COPY|ADD)\s+(.*)", line, re.IGNORECASE)
        if match is None:
            continue
        words = match[1].split()
        flags = [word for word in words if word.startswith("--")]
        if any(flag.startswith("--from=") for flag in flags):
            continue
        rest = match[1]
        for flag in flags:
            rest = rest.replace(flag, "", 1)
        rest = rest.strip()
        paths = json.loads(rest) if rest.startswith("[") else rest.split()
        sources += [str(path) for path in paths[:-1] if "://" not in str(path)]
    return sources


def ignored_by(patterns: list[str], relative: str) -> bool:
    """Whether a .dockerignore leaves a path out. Exceptions (`!`) are rare and subtle: with one, nothing is ignored
    here, which at worst builds an image once too often."""
    if any(pattern.startswith("!") for pattern in patterns):
        return False
    for pattern in patterns:
        anywhere = pattern.startswith("**/")
        core = pattern.removeprefix("**/").strip("/")
        parts = relative.split("/")
        starts = range(len(parts)) if anywhere else [0]
        depth = core.count("/") + 1
        if any(fnmatch.fnmatchcase("/".join(parts[i : i + depth]), core) for i in starts):
            return True
    return False


def _ignore_patterns(context: Path) -> list[str]:
    try:
        lines = (context / ".dockerignore").read_text().splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _files(path: Path, context: Path, ignore: list[str]) -> Iterator[Path]:
    if path.name in _IGNORED or (path != context and ignored_by(ignore, str(path.relative_to(context)))):
        return
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir()):
            yield from _files(child, context, ignore)
    else:
        yield path


def content_key(image: Image, base_id: str) -> str:
    """A digest of all that the build can see: the Dockerfile, what it copies, its arguments and its base."""
    text = image.dockerfile.read_text()
    digest = hashlib.sha256()
    digest.update(json.dumps([base_id, image.arguments, text]).encode())
    ignore = _ignore_patterns(image.context)
    digest.update(json.dumps(ignore).encode())
    known = dict(re.findall(r"^ARG (\w+)=(\S*)", text, re.MULTILINE)) | image.arguments
    for pattern in copied_sources(text):
        path = re.sub(r"\$\{(\w+)\}", lambda name: known.get(name[1], name[0]), pattern)
        # Another build argument in a path could be anything, so everything counts.
        relative = "." if "$" in path else path.strip("/") or "."
        matches = sorted(image.context.glob(relative)) if relative != "." else [image.context]
        for file in (file for match in matches for file in _files(match, image.context, ignore)):
            mode = file.lstat().st_mode
            content = str(file.readlink()).encode() if stat.S_ISLNK(mode) else file.read_bytes()
            digest.update(f"{file.relative_to(image.context)} {mode:o} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _prepare(image: Image, progress: Progress) -> None:
    """Fills the context of an image of ours with its one program; a hard link costs nothing."""
    if not image.binary:
        return
    binaries([image.binary], progress)
    target = image.context / image.binary
    source = binary_path(image.binary)
    if target.exists() and target.samefile(source):
        return
    shutil.rmtree(image.context, ignore_errors=True)
    image.context.mkdir(parents=True)
    target.hardlink_to(source)


def build(image: Image, tag: str, progress: Progress, arch: str = "") -> None:
    """``arch``: of a processor; "" for this machine's."""
    # Buildah would warn of an argument that a Dockerfile does not take.
    taken = re.findall(r"^ARG (BASE|GO)=", image.dockerfile.read_text(), re.MULTILINE)
    arguments = {**dict.fromkeys(taken, buildah.BASE_IMAGE), **image.arguments}
    if "GO" in taken:
        arguments["BUILDPLATFORM"] = buildah.platform()
    flags = [flag for key, value in arguments.items() for flag in ("--build-arg", f"{key}={value}")]
    flags += ["--platform", f"linux/{arch}"] if arch else []
    volumes = buildah.build_volumes()
    if "GO" in taken:
        binaries([image.name, "store-gate"], progress)  # fills Go's caches
        volumes += buildah.go_volumes(BY_NAME[image.name].module)
    argv = buildah.command(
        "bud", "--layers", "--isolation=chroot", "--network=host", *volumes, *flags,
        "--file", image.dockerfile, "--tag", tag, image.context,
    )  # fmt: skip
    with step(progress, f"building the image {image.name}"):
        run_logged(argv, cache_dir() / "log" / f"image-{image.name}.log", f"Building the image {image.name}")


def own_tag(image: Image, key: str, arch: str = "") -> str:
    """Its name in this machine's store of images."""
    return f"localhost/alcove/{image.name}:{key[:32]}{'-' if arch else ''}{arch}"


def ensure_pause(progress: Progress = say) -> None:
    """The sandbox image as an archive, since containerd needs it before there is a registry to pull from."""
    archive = pause_archive()
    if archive.exists():
        return
    (image,) = (image for image in own_images() if image.name == "pause")
    with locked(buildah.root() / ".lock", progress, "building images"):
        _prepare(image, progress)
        build(image, PAUSE_IMAGE, progress)
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        log = cache_dir() / "log" / "pause.log"
        target = f"docker-archive:{unfinished}:{PAUSE_IMAGE}"
        run_logged(buildah.command("push", PAUSE_IMAGE, target), log, "Saving the pause image")
        unfinished.rename(archive)


def _in_registry(registry: str, name: str, digest: str) -> bool:
    connection = http.client.HTTPConnection(registry, timeout=10)
    try:
        connection.request("HEAD", f"/v2/alcove/{name}/manifests/{digest}", headers={"Accept": _MANIFESTS})
        return connection.getresponse().status == 200
    except OSError as error:
        raise ClusterError(
            f"The cluster's registry at {registry} does not answer ({error}), so no image can be pushed. "
            "Check the cluster with: python -m tests.cluster up"
        ) from error
    finally:
        connection.close()


def _push(image: Image, tag: str, registry: str, progress: Progress) -> str:
    """Pushes with the fastest compression, since the wire is short. Returns the digest."""
    digest_file = cache_dir() / "images" / f"{image.name}.digest"
    digest_file.parent.mkdir(parents=True, exist_ok=True)
    argv = buildah.command(
        "push", "--tls-verify=false", "--compression-format=gzip", "--compression-level=1", "--digestfile", digest_file,
        tag, f"docker://{registry}/alcove/{image.name}:{tag.rsplit(':', 1)[1]}",
    )  # fmt: skip
    with step(progress, f"pushing the image {image.name}"):
        run_logged(argv, cache_dir() / "log" / f"push-{image.name}.log", f"Pushing the image {image.name}")
    return digest_file.read_text().strip()


def _publish(image: Image, registry: str, base_id: str, progress: Progress) -> str:
    """Builds and pushes what has changed; returns the image's digest."""
    _prepare(image, progress)
    key = content_key(image, base_id)
    stamp = cache_dir() / "images" / f"{image.name}-{key[:32]}.json"
    if stamp.exists():
        digest = str(json.loads(stamp.read_text())["digest"])
        if _in_registry(registry, image.name, digest):
            return digest
    tag = own_tag(image, key)
    if buildah.image_id(tag) is None:
        build(image, tag, progress)
    digest = _push(image, tag, registry, progress)
    stamp.write_text(json.dumps({"digest": digest, "tag": tag}) + "\n")
    buildah.remove_superseded(tag.rsplit(":", 1)[0], tag)
    return digest


def images(cluster: Cluster, only: Iterable[str] | None = None, progress: Progress = say) -> dict[str, str]:
    """Makes every image available in a cluster; returns their references by digest, also in <state>/images.json."""
    available = {image.name: image for image in [*own_images(), *project_images(every_variant=True)]}
    usual = [image.name for image in [*own_images(), *project_images()]]
    wanted = list(only) if only is not None else usual
    unknown = [name for name in wanted if name not in available]
    if unknown:
        raise ClusterError(
            f"There is no image named {', '.join(unknown)}, so nothing was built. "
            f"The images are: {', '.join(available)}."
        )
    listing = cluster.state / "images.json"
    references: dict[str, str] = json.loads(listing.read_text()) if listing.exists() else {}
    with locked(buildah.root() / ".lock", progress, "building images"):
        base_id = buildah.base(progress)
        for name in wanted:
            digest = _publish(available[name], cluster.registry, base_id, progress)
            references[name] = f"{cluster.registry}/alcove/{name}@{digest}"
            listing.write_text(json.dumps(references, indent=1) + "\n")
    progress(
        f"{len(wanted)} images are in the registry at {cluster.registry}; their digests are in {listing}."
    )
    return {name: references[name] for name in wanted}


def publish_image(cluster: Cluster, image: Image, progress: Progress = say) -> str:
    """Makes one image more available in a cluster, FROM scratch; returns its reference by digest."""
    with locked(buildah.root() / ".lock", progress, "building images"):
        digest = _publish(image, cluster.registry, "", progress)
    return f"{cluster.registry}/alcove/{image.name}@{digest}"


def clean(progress: Progress = say) -> None:
    """Forgets all built images and what was pushed; programs, pip's cache and the sandbox image stay."""
    running = [name for name in known_names() if is_running(name)]
    if running:
        raise ClusterError(
            f"These clusters are running: {', '.join(running)}. They use the images, so nothing was removed. "
            "Take them down first: python -m tests.cluster down --name …"
        )
    with (
        locked(buildah.root() / ".lock", progress, "building images"),
        step(progress, "removing the built images"),
    ):
        for folder in (
            buildah.root() / "root",
            buildah.root() / "run",
            buildah.root() / "notes",
            registry_storage(),
        ):
            shutil.rmtree(folder, ignore_errors=True)
        for stamp in (cache_dir() / "images").glob("*.json"):
            stamp.unlink()

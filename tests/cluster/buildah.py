"""Buildah with a store of its own under the cache folder, and the local base image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .console import ClusterError, Progress, run, run_logged, step
from .versions import cache_dir

BASE_IMAGE = "localhost/alcove-base:bookworm"
SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Private certificate authorities of the place we run at: what a build fetches comes through them.
HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_CACHE = "/var/cache/alcove-pip"
# Buildah also keeps notes on compressed layers, at a place that no option moves.
_OWN_VIEW = """
notes=$1; shift
if [ -d /var/lib/containers ]; then mount --bind "$notes" /var/lib/containers; fi
exec "$@"
"""


def root() -> Path:
    return cache_dir() / "buildah"


def command(*arguments: str | Path) -> list[str]:
    """A buildah command line. Its mounts live in a mount namespace of their own and end with it, also when killed."""
    store = ["--root", str(root() / "root"), "--runroot", str(root() / "run"), "--storage-driver", _driver()]
    own_mounts = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-ec",
        _OWN_VIEW,
        "sh",
        str(_notes()),
    ]
    return [*own_mounts, "buildah", *store, *(str(argument) for argument in arguments)]


def _notes() -> Path:
    notes = root() / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    return notes


def _driver() -> str:
    """Overlay file systems do not stack, so on one of them layers have to be copied."""
    root().mkdir(parents=True, exist_ok=True)
    return (
        "vfs"
        if run(["stat", "--file-system", "--format", "%T", root()]).strip() == "overlayfs"
        else "overlay"
    )


def image_id(name: str) -> str | None:
    ids = run(command("images", "--quiet", "--no-trunc", "--filter", f"reference={name}")).split()
    return ids[0] if ids else None


def remove_superseded(repository: str, keep: str) -> None:
    """Drops the other tags of an image: each may hold gigabytes, and the registry has what was pushed."""
    names = run(command("images", "--format", "{{.Name}}:{{.Tag}}")).split()
    old = [name for name in names if name.startswith(f"{repository}:") and name != keep]
    if old:
        run(command("rmi", *old))


def build_volumes() -> list[str]:
    """What a build sees of this host: its certificate authorities, and pip's cache so that wheels come once."""
    cache, settings = cache_dir() / "pip", cache_dir() / "pip.conf"
    cache.mkdir(parents=True, exist_ok=True)
    lines = ["[global]", f"cache-dir = {_PIP_CACHE}"]
    volumes = [f"{cache}:{_PIP_CACHE}"]
    if HOST_CA.exists():
        lines.append(f"cert = {HOST_CA}")
        volumes.append(f"{HOST_CA}:{HOST_CA}:ro")
    settings.write_text("\n".join(lines) + "\n")
    volumes.append(f"{settings}:/etc/pip.conf:ro")
    return [argument for volume in volumes for argument in ("--volume", volume)]


def platform() -> str:
    """Of this machine, which Debian's buildah does not tell a build."""
    machine = os.uname().machine
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"linux/{names.get(machine, machine)}"


def go_volumes(module: Path) -> list[str]:
    """What a build of a Go program sees of this host, since no registry's image of Go is asked: Go and its caches."""
    names = ["GOROOT", "GOMODCACHE", "GOCACHE"]
    # Asked in the module's folder, as Go may have fetched a newer version of itself for it.
    found = run(["go", "-C", module, "env", *names]).split()
    places = ["/usr/local/go:ro", "/root/go/pkg/mod", "/root/.cache/go-build"]
    return [
        argument
        for folder, place in zip(found, places, strict=True)
        for argument in ("--volume", f"{folder}:{place}")
    ]


def _mirror() -> list[str]:
    """The mirror that this machine itself takes Debian from, if it is a Debian of the same suite."""
    if shutil.which("apt-get") is None:
        return []
    targets = run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Identifier: Packages"]
    )
    for line in targets.splitlines():
        words = line.split()
        if words[1:] == [SUITE, "main"]:
            return [words[0]]
    return []


def base(progress: Progress) -> str:
    """The image that every Dockerfile builds on here, since no image registry is asked; returns its id."""
    existing = image_id(BASE_IMAGE)
    if existing:
        return existing
    if os.geteuid() != 0:
        raise ClusterError(
            "Making the base image needs root (debootstrap does). Run the command again with sudo."
        )
    work = cache_dir() / "base.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tree = work / "root"
    log = cache_dir() / "log" / "base.log"
    bootstrap = ["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase",
                 f"--include={_PACKAGES}", SUITE, str(tree), *_mirror()]  # fmt: skip
    with step(progress, f"making the base image {BASE_IMAGE}"):
        run_logged(bootstrap, log, "debootstrap")
        _resemble_python_image(tree)
        run(["tar", "--create", "--file", work / "root.tar", "--directory", tree, "--numeric-owner", "."])
        (work / "Dockerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["bash"]\n')
        run_logged(command("bud", "--tag", BASE_IMAGE, work), log, "Importing the base image")
        shutil.rmtree(work)
    made = image_id(BASE_IMAGE)
    assert made is not None
    return made


def _resemble_python_image(tree: Path) -> None:
    """Makes Debian's Python behave like the public python image that the Dockerfiles name."""
    (tree / "usr/bin/python").symlink_to("python3")
    for marker in (tree / "usr/lib").glob("python3*/EXTERNALLY-MANAGED"):
        marker.unlink()  # it would forbid `pip install` outside a virtual environment
    for archive in (tree / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()

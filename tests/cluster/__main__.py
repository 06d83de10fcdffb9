"""python -m tests.cluster: the throwaway cluster from the command line."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from . import buildah, kueue, lifecycle
from .binaries import binaries, locked
from .console import ClusterError, say
from .deps import deps
from .images import clean, images
from .layout import DEFAULT_NAME, is_running, known_names
from .publish import BuilderName, publish, read_values, values, values_file
from .versions import TOOLS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="Raises a real Kubernetes cluster in namespaces of its own, and takes it down again.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str, named: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if named:
            command.add_argument(
                "--name", default=DEFAULT_NAME, help=f"the cluster's name (default: {DEFAULT_NAME})"
            )
        return command

    add("deps", "check the needed packages; install what is missing as root", named=False)
    programs = add("binaries", "build the pinned programs into the cache", named=False)
    programs.add_argument("--only", metavar="X,Y", help=f"out of: {', '.join(tool.name for tool in TOOLS)}")
    raising = add("up", "start a cluster, or check the running one")
    raising.add_argument("--nodes", type=int, default=1, metavar="N", help="how many (default: 1)")
    raising.add_argument(
        "--gpus", type=int, default=0, metavar="N", help="GPUs that the first node pretends to have"
    )
    add("control-plane", "start only etcd and the API server")
    add("down", "take a cluster down and verify that nothing is left")
    add("list", "list the clusters of this machine", named=False)
    add("env", "print shell lines that select the cluster")
    kubectl = add("kubectl", "run kubectl on the cluster, as in: kubectl --name demo -- get pods -A")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- args")
    add("base", "make the base image that the others are built on", named=False)
    building = add("images", "build the images and push them to the cluster's registry")
    building.add_argument("--only", metavar="X,Y", help="build only these")
    _add_publish_options(add("publish", "build the images and push them to a registry of yours", named=False))
    add("kueue", "install Kueue from its own chart, with its webhooks")
    add("clean", "remove all built images from the cache, to free disk space", named=False)
    return parser


def _add_publish_options(publish: argparse.ArgumentParser) -> None:
    publish.add_argument("registry", help="with the path below it: registry.example.org/alcove")
    publish.add_argument("--tag", default="", help="by default the chart's version")
    publish.add_argument(
        "--arch", default="amd64", choices=("amd64", "arm64"), help="processor of the cluster"
    )
    publish.add_argument("--only", metavar="X,Y", help="build only these")
    publish.add_argument(
        "--builder", choices=get_args(BuilderName), help="by default Docker or Buildah, whichever is there"
    )
    publish.add_argument(
        "--base", default="", metavar="IMAGE", help="build on this, not on the Python that is pinned"
    )
    publish.add_argument(
        "--go", default="", metavar="IMAGE", help="build the stores in this, not in the Go that is pinned"
    )
    publish.add_argument("--sbom", type=Path, metavar="FOLDER", help="list there what is in each image")
    publish.add_argument(
        "--values",
        type=Path,
        metavar="FILE",
        help="put the values there as well, beside those of earlier calls; with --arch arm64 into FILE-arm64",
    )


def _kubectl(name: str, arguments: list[str]) -> None:
    cluster = lifecycle.get(name)
    binaries(["kubectl"])
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    os.execve(cluster.kubectl, ["kubectl", *arguments], {**os.environ, **cluster.environment()})


def _split(names: str | None) -> list[str] | None:
    return [name for name in names.split(",") if name] if names is not None else None


def _list() -> None:
    for name in known_names():
        print(f"{name}\t{'running' if is_running(name) else 'not running'}")


def _base() -> None:
    with locked(buildah.root() / ".lock", say, "building images"):
        buildah.base(say)
    say(f"The base image is {buildah.BASE_IMAGE}.")


def _env(name: str) -> None:
    for key, value in lifecycle.get(name).environment().items():
        print(f"export {key}={shlex.quote(value)}")


def _binaries(only: str | None) -> None:
    binaries(_split(only))
    say("All programs are in the cache.")


def _publish(options: argparse.Namespace) -> None:
    file = values_file(options.values, options.arch) if options.values else None
    earlier = read_values(file) if file else {}
    bases = {"BASE": options.base, "GO": options.go}
    references = publish(
        options.registry, tag=options.tag, arch=options.arch, only=_split(options.only), builder=options.builder,
        sbom=options.sbom, bases={name: base for name, base in bases.items() if base},
    )  # fmt: skip
    if unchanged := sorted(earlier.keys() - references.keys()):
        say(f"{file} has these from an earlier call: {', '.join(unchanged)}.")
    text = values(earlier | references)
    print(text, end="")
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _dispatch(options: argparse.Namespace) -> None:
    actions: dict[str, Callable[[], object]] = {
        "deps": deps,
        "binaries": lambda: _binaries(options.only),
        "up": lambda: lifecycle.up(options.name, options.gpus, nodes=options.nodes),
        "control-plane": lambda: lifecycle.control_plane(options.name),
        "down": lambda: lifecycle.down(options.name),
        "list": _list,
        "env": lambda: _env(options.name),
        "kubectl": lambda: _kubectl(options.name, options.arguments),
        "base": _base,
        "clean": clean,
        "kueue": lambda: kueue.install(lifecycle.get(options.name)),
        "publish": lambda: _publish(options),
        "images": lambda: images(lifecycle.get(options.name), _split(options.only)),
    }
    actions[options.command]()


def main() -> int:
    try:
        _dispatch(_parser().parse_args())
    except ClusterError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say(
            "Interrupted. A cluster that was only half up can be removed with: python -m tests.cluster down --name …"
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

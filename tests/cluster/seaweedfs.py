"""A SeaweedFS server for tests that need no cluster, behind the gate that the chart puts before it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_operator.credentials import seaweedfs_configuration

from .binaries import binaries
from .console import Progress, say
from .gate import gate
from .stores import StoreServer, free_port, root_secret, serve
from .versions import binary_path

CHART_ARGUMENTS = (
    "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.ip.bind=127.0.0.1", "-s3.iam.readOnly=false",
    "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=0",
    "-master.vacuumIntervalSeconds=30", "-volume.preStopSeconds=0",
)  # fmt: skip
"""What the chart starts it with, but for files and sizes."""
VOLUME_MIB = 256
"""Of the chart, which leaves two of them free."""


@contextmanager
def seaweedfs_server(
    operator: StoreCredentials,
    scorer: str,
    progress: Progress = say,
    bucket: str = keys.MAIN_BUCKET,
    data: Path | None = None,
    certificate: Path | None = None,
    volume_mib: int = VOLUME_MIB,
    host: str = "127.0.0.1",
) -> Iterator[StoreServer]:
    """A fresh, empty SeaweedFS on loopback, with random credentials; it and its data are gone afterwards.

    Args:
        operator: the user that may hand on credentials of runs, and that signs permits.
        scorer: name of the user that may hand on those of the scorer's Jobs.
        progress: where to say what is built.
        bucket: that these write to.
        data: where its data lies, and stays; by default a folder of its own.
        certificate: a folder with public.crt and private.key; without it the server speaks plain HTTP.
        volume_mib: size of the files that it keeps objects in. It makes seven for each bucket, where there is room.
        host: by which clients call it, where its certificate names another.
    """
    binaries(["seaweedfs"], progress)
    server = StoreServer(
        "seaweedfs",
        f"{host}:{free_port()}",
        "alcove-test",
        root_secret(data),
        "https" if certificate else "http",
    )
    with tempfile.TemporaryDirectory(prefix="alcove-seaweedfs-") as name, ExitStack() as stack:
        folder = Path(name)
        place, socket, own = data or folder / "data", folder / "s3.sock", free_port()
        place.mkdir(exist_ok=True)
        # As the chart keeps it: credentials that were handed on outlive a restart.
        key = hashlib.sha256(server.secret_key.encode()).digest()
        configuration = seaweedfs_configuration(operator.access_key, scorer, key, bucket)
        (folder / "iam.json").write_text(json.dumps(configuration))
        (folder / "tmp").mkdir()
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": name, "TMPDIR": f"{name}/tmp",
            "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }  # fmt: skip
        argv = [*_seaweedfs_argv(folder, place, volume_mib), f"-s3.localSocket={socket}", f"-s3.port={own}"]
        stack.enter_context(serve(argv, env, folder / "seaweedfs.log", socket.exists, "SeaweedFS"))
        stack.enter_context(gate(server, str(socket), operator, folder, certificate, progress=progress))
        yield replace(server, folder=folder, behind=f"127.0.0.1:{own}")


def _seaweedfs_argv(folder: Path, data: Path, volume_mib: int) -> list[str]:
    """But for where S3 listens."""
    names = ("s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
    ports = [
        f"-{name.removesuffix('.grpc')}.port{'.grpc' if name.endswith('.grpc') else ''}={free_port()}"
        for name in names
    ]
    return [
        str(binary_path("seaweedfs")), "server", f"-dir={data}", f"-s3.iam.config={folder}/iam.json",
        *CHART_ARGUMENTS, f"-master.volumeSizeLimitMB={volume_mib}", f"-volume.minFreeSpace={2 * volume_mib}MiB",
        f"-filer.localSocket={folder}/filer.sock", *ports,
    ]  # fmt: skip

"""A SeaweedFS server for tests that need an object store and no cluster."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alcove_api import keys
from alcove_operator.credentials import seaweedfs_configuration

from .binaries import binaries
from .console import Progress, say
from .stores import StoreServer, free_port, root_secret, serve
from .versions import binary_path


@contextmanager
def seaweedfs_server(
    operator: str,
    scorer: str,
    progress: Progress = say,
    bucket: str = keys.MAIN_BUCKET,
    data: Path | None = None,
    certificate: Path | None = None,
    volume_mib: int = 64,
) -> Iterator[StoreServer]:
    """A fresh, empty SeaweedFS on loopback, with random credentials; it and its data are gone afterwards.

    Args:
        operator: name of the user that may hand on credentials of runs.
        scorer: the same for those of the scorer's Jobs.
        progress: where to say what is built.
        bucket: that these write to.
        data: where its data lies, and stays; by default a folder of its own.
        certificate: a folder with public.crt and private.key; without it the server speaks plain HTTP.
        volume_mib: size of the files that it keeps objects in. It makes seven for each bucket, where there is room.
    """
    binaries(["seaweedfs"], progress)
    ports = {
        name: free_port()
        for name in ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
    }
    server = StoreServer(
        "seaweedfs",
        f"127.0.0.1:{ports['s3']}",
        "alcove-test",
        root_secret(data),
        "https" if certificate else "http",
    )
    with tempfile.TemporaryDirectory(prefix="alcove-seaweedfs-") as folder:
        place, configuration = data or Path(folder) / "data", Path(folder) / "iam.json"
        place.mkdir(exist_ok=True)
        # As the chart keeps it: credentials that were handed on outlive a restart.
        key = hashlib.sha256(server.secret_key.encode()).digest()
        configuration.write_text(json.dumps(seaweedfs_configuration(operator, scorer, key, bucket)))
        env = {
            "PATH": os.environ.get("PATH", ""), "HOME": folder,
            "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }  # fmt: skip
        argv = [
            str(binary_path("seaweedfs")), "server", f"-dir={place}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-filer", "-s3", f"-s3.iam.config={configuration}", "-s3.iam.readOnly=false",
            "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
            f"-master.volumeSizeLimitMB={volume_mib}", "-volume.max=0",
            f"-volume.minFreeSpace={2 * volume_mib}MiB", "-volume.preStopSeconds=0",
            f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
        ]  # fmt: skip
        argv += [
            f"-{name.removesuffix('.grpc')}.port{'.grpc' if name.endswith('.grpc') else ''}={port}"
            for name, port in ports.items()
        ]
        if certificate:
            argv += [
                f"-s3.cert.file={certificate}/public.crt",
                f"-s3.key.file={certificate}/private.key",
            ]
        with serve(argv, env, Path(folder) / "seaweedfs.log", server.answers, "SeaweedFS"):
            yield server

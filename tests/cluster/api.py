"""What tests and the demo use; everything else in this package is how it is done.

from tests.cluster import api

cluster = api.up("e2e-" + str(os.getpid()))
references = api.images(cluster)          # {"operator": "10.…:5000/alcove/operator@sha256:…", …}
…
api.down(cluster.name)
"""

from __future__ import annotations

from .console import ClusterError, Progress
from .images import Image, images, publish_image
from .layout import DEFAULT_NAME, Cluster, is_running
from .lifecycle import control_plane, down, get, set_extended_resource, up
from .minio import minio_server
from .seaweedfs import seaweedfs_server
from .stores import StoreServer

__all__ = [
    "DEFAULT_NAME",
    "Cluster",
    "ClusterError",
    "Image",
    "Progress",
    "StoreServer",
    "control_plane",
    "down",
    "get",
    "images",
    "is_running",
    "minio_server",
    "publish_image",
    "seaweedfs_server",
    "set_extended_resource",
    "up",
]

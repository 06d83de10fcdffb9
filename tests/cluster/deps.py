"""Debian packages that the cluster, and the tests of pages and alerts, need: checked, and installed where we may."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .binaries import check_go
from .console import ClusterError, Progress, run_logged, say, step
from .versions import TOOLS, cache_dir

CNI_PLUGINS = Path("/usr/lib/cni")

# A file that tells whether the package is there, and the package.
PACKAGES: dict[str, str] = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "buildah": "buildah",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ipset": "ipset",
    "nft": "nftables",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "mount": "mount",
    # Reads the operator's metrics in tests, with promtool for the alerts. Debian's 2.42 has all that they use, and is
    # there in seconds; its Go module would be built for minutes.
    "prometheus": "prometheus",
    "promtool": "prometheus",
    # For the supervisor, which the tests and `alcove run` compile.
    "cc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    # The pages of results are looked at in a real browser.
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    # Fetches axe-core, which looks at them as people with disabilities meet them.
    "npm": "npm",
}

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def tool_path(name: str) -> str | None:
    """Finds a program, also in the sbin folders that an ordinary user's PATH leaves out."""
    if name.startswith("/"):
        return name if Path(name).exists() else None
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def missing_packages() -> list[str]:
    return sorted({package for name, package in PACKAGES.items() if tool_path(name) is None})


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Debian starts a service as soon as its package is in; etcd or a registry on the host is not ours to start."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\n# Written by python -m tests.cluster deps; removed at its end.\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def deps(progress: Progress = say) -> None:
    """Checks every needed tool; installs what is missing as root, else says how."""
    missing = missing_packages()
    if missing:
        command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise ClusterError(
                f"These packages are not installed: {', '.join(missing)}. The cluster cannot start without them. "
                f"Install them with: sudo {' '.join(command)}"
            )
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        log = cache_dir() / "log" / "apt.log"
        with step(progress, f"installing {', '.join(missing)}"), _services_stay_off():
            run_logged(["apt-get", "update"], log, "Reading the package lists", env=env)
            run_logged(command, log, "Installing packages", env=env)
    check_go({tool.module for tool in TOOLS})
    progress("All packages and tools are there.")

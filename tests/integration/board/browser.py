"""A real Chromium before the running server, and axe-core inside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.cluster.binaries import locked
from tests.cluster.versions import cache_dir
from tests.integration.pages.conftest import started_chromium

AXE = Path(__file__).parent / "axe"


@cache
def axe_source() -> str:
    """axe-core, as the lock file beside this module names it: fetched by npm, and kept in the cache."""
    folder = cache_dir() / "axe"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (AXE / "package-lock.json").read_bytes()
    found = folder / "node_modules" / "axe-core" / "axe.min.js"
    with locked(folder / ".lock", lambda _: None, "fetching axe-core"):
        stamp = folder / "package-lock.json"
        if not found.exists() or not stamp.exists() or stamp.read_bytes() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(AXE / name, folder / name)
            argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"npm could not fetch axe-core: {done.stderr}"
    return found.read_text(encoding="utf-8")


class Browser:
    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, width: int = 1280, scheme: str = "light", *, scripts: bool = True) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        media = {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.tell("Emulation.setDeviceMetricsOverride", size)
        self.tell("Emulation.setEmulatedMedia", media)
        self.tell("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)  # what was before
        self.driver.get(url)

    def tell(self, command: str, arguments: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def complaints(self) -> list[str]:
        """What the page wrote to the console: a policy that was violated, too."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def requests(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def find_barriers(self) -> list[str]:
        """What axe-core says of the page: rule, and where."""
        self.run(axe_source())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const failed = (error) => done([{id: String(error), nodes: []}]);"
            "axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations), failed);"
        )
        return [f"{rule['id']}: {[node['html'][:200] for node in rule['nodes'][:3]]}" for rule in found]


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    with started_chromium(folder) as found:
        found.set_script_timeout(60)
        yield Browser(found)

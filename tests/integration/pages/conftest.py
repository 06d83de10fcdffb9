"""A real Chromium, offline, and what it says of a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@dataclass
class Page:
    """A page that is open: what it wrote to the console, and what it asked the network for beside itself."""

    driver: Any
    console: list[str]
    requests: list[str]

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def text(self) -> str:
        return str(self.run("return document.body.innerText"))


@contextmanager
def started_chromium(folder: Path) -> Iterator[Any]:
    """A browser with a profile in ``folder``, which logs what pages write to the console and ask for."""
    driver = shutil.which("chromedriver")
    assert driver is not None, "chromedriver is missing: make deps"
    options = webdriver.ChromeOptions()
    for argument in (*OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        browser.execute_cdp_cmd("Network.enable", {})
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with started_chromium(tmp_path_factory.mktemp("chromium")) as browser:
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        yield browser


@pytest.fixture
def visit(chromium: Any, tmp_path: Path) -> Callable[..., Page]:
    """Opens a page from a file, at a width in pixels, in a light or a dark environment."""

    def open_page(html: str, width: int = 1200, scheme: str = "light") -> Page:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        chromium.get("about:blank")
        for kind in ("browser", "performance"):
            chromium.get_log(kind)  # what was before
        file = tmp_path / "page.html"
        file.write_text(html)
        chromium.get(file.as_uri())
        console = [entry["message"] for entry in chromium.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
        sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        # Chromium tells of images within the file as well.
        asked = [url for url in sent if url != file.as_uri() and not url.startswith("data:")]
        return Page(chromium, console, asked)

    return open_page

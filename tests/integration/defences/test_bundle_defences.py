"""The check of a bundle's paths keeps it within its folder, and without it the bundle writes elsewhere."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from alcove_store import unpack
from alcove_store.errors import BundleError
from tests.unit.stage.test_unpack import LIMIT, bundle, member


@pytest.mark.parametrize("switched_off", [False, True], ids=["as it is", "switched off"])
@pytest.mark.parametrize("absolute", [False, True], ids=["by ..", "by an absolute path"])
def test_a_bundle_writes_elsewhere_without_the_check_of_its_paths_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absolute: bool, switched_off: bool
) -> None:
    name = str(tmp_path / "elsewhere") if absolute else "../elsewhere"
    (tmp_path / "bundle").write_bytes(bundle(member(name, b"x")))
    (tmp_path / "code").mkdir()
    if switched_off:

        def trust(packed: tarfile.TarInfo) -> list[str]:
            return [packed.name]

        monkeypatch.setattr(unpack, "_parts", trust)
    with suppress(BundleError):
        unpack.unpack(tmp_path / "bundle", tmp_path / "code", limit=LIMIT)
    assert (tmp_path / "elsewhere").exists() is switched_off

"""Each deliberate fault has its module, and what brings it into an image."""

from __future__ import annotations

from pathlib import Path

from bench.chaos import damage
from bench.chaos.__main__ import ALL


def test_each_damage_has_a_module_and_beside_which_faults_it_shows() -> None:
    modules = {path.stem for path in Path(damage.__file__).parent.glob("*.py")} - {"__init__"}
    assert modules == set(damage.DAMAGES)
    assert {kind for one in damage.DAMAGES.values() for kind in one.faults} <= set(ALL)


def test_python_imports_it_when_it_starts(tmp_path: Path) -> None:
    lines = damage.write_damage("stamp_early", tmp_path)
    assert (tmp_path / "damage.pth").read_text() == "import damage\n"
    assert "stamps" in (tmp_path / "damage.py").read_text()
    assert lines == f"COPY damage.py damage.pth {damage.SITE}/\n"

"""Files of the repository that commands use: Alcove is installed from it, by ``make install``."""

from __future__ import annotations

from pathlib import Path

from alcove_cli.errors import FaultError

CHECKOUT = Path(__file__).resolve().parents[2]


def find_checkout_path(*parts: str) -> Path:
    """Raises FaultError where it is not there: Alcove was installed in another way."""
    path = CHECKOUT.joinpath(*parts)
    if not path.exists():
        raise FaultError(
            f"{path} is not there, so this command has nothing to work with.",
            remedy="Install Alcove from its repository: make install.",
        )
    return path

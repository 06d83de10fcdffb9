"""python -m tests.conformance.odd_image FOLDER: a folder to build the odd image from."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.odd_image import make_context

make_context(Path(sys.argv[1]))

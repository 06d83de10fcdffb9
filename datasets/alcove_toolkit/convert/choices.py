"""Names that a user chooses from. Apart, so that the command line can name them without loading anything."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["tabular", "image", "text", "audio", "video", "series"]
How = Literal["stratified", "random", "group", "shift", "given"]
ShiftBy = Literal["class", "group", "size", "source"]
Frames = Literal["jpeg", "png"]
SHIFTS: tuple[ShiftBy, ...] = get_args(ShiftBy)

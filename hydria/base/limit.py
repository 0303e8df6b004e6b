"""What a limit on a number of things is, in the configuration and in the API alike."""

from typing import Annotated, Final

import msgspec

UNLIMITED: Final = -1
Limit = Annotated[int, msgspec.Meta(ge=UNLIMITED, le=2_000_000_000)]
"""How many of something a project may have; -1: any number."""

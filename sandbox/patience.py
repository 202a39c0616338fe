"""How long the sandbox waits for its own programs to start, to answer and to end.

Only what will never come is waited for so long: a program that has ended is seen at once. A slow machine is no fault.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 120.0

"""How long tests wait for what must come.

It bounds how long a test hangs that will fail anyway, and nothing else: no test may fail because a machine is slow. So
it is far beyond what anything takes, and no test asks whether something was done within it.
"""

from __future__ import annotations

from typing import Final

# Seconds. The app's timer and the delays of its queue come within a minute or two, on a slow machine in some more.
PATIENCE: Final = 300.0

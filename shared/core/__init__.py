"""The pure core: verify, parse, merge, map, decide. No I/O, no clock, no environment."""

from __future__ import annotations

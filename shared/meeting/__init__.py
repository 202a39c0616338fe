"""The business, pure: deliveries, the merge, the mapping, the meeting. No I/O, no clock, no environment, no file."""

from __future__ import annotations

"""The clients, where what they must bear is more than the stand-ins do."""

from __future__ import annotations

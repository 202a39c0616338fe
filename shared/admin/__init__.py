"""What an admin asks: look-ups, the dry run, the back-fill, the backlog and health."""

from __future__ import annotations

"""The Outreach API: its client, tokens, data connections, events and quota."""

from __future__ import annotations

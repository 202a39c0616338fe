"""The pure core, one test module per source module, and the settings."""

from __future__ import annotations

"""The way of an event: taken in, carried out, repeated, swept up, and forgotten in the end."""

from __future__ import annotations

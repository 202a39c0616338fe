"""Azure Storage: each table and the queue, with what is stored in them."""

from __future__ import annotations

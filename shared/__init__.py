"""Everything the app decides and does, without a line of `azure.functions` (that is `functions/`)."""

from __future__ import annotations

"""What `doctor` looks at, one module per area. Each check returns findings and raises nothing of its own."""

from __future__ import annotations

from __future__ import annotations
SEEDED_BUGS=()

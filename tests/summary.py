"""Where tests put what they have to say at the end of the run, a line each; `conftest.py` prints it."""

from __future__ import annotations

import pytest

SUMMARY: pytest.StashKey[list[str]] = pytest.StashKey()

"""`make soak`: thousands of events while everything breaks; nothing is lost, nothing twice, nothing stale."""

from __future__ import annotations

from sandbox.soak.plan import Plan
from sandbox.soak.run import soak

__all__ = ["Plan", "soak"]

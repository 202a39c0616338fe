"""The product over real storage and the strict stand-ins, without the functions host in between."""

from __future__ import annotations

"""The folder that goes on the path of a process that must find names which no name server knows."""

from __future__ import annotations

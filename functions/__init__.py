"""The triggers: bind, call one function of `shared/`, turn the outcome into a response. Nothing is decided here."""

from __future__ import annotations

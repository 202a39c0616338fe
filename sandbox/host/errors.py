"""What stops the host from starting, and what an invocation ends with instead of a value.

HostError                the app or its settings cannot run; the message lists what to change
InvocationFailed         the function raised, returned what its bindings cannot carry, or could not be given its input
└─ InvocationTimedOut    it took longer than host.json's functionTimeout
"""

from __future__ import annotations

from collections.abc import Sequence


class HostError(Exception):
    """The app cannot be started."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(["The app cannot start:", *(f"- {problem}" for problem in problems)]))
        self.problems = tuple(problems)


class InvocationFailed(Exception):
    """One run of a function failed; already counted and logged."""


class InvocationTimedOut(InvocationFailed):
    """One run of a function exceeded functionTimeout."""

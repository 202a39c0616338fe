"""The `context` of an invocation: the attributes of the worker's own object, and the W3C trace rule.

Where Application Insights is set, a call that carries a valid `traceparent` keeps its trace id and gets a new span id,
and every other call starts a trace. Without it the context is empty. https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
import secrets
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

_TRACE_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where an invocation stands in a distributed trace."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a function gets as `context`; named as the worker's class is."""

    function_name: str
    function_directory: str
    trace_context: TraceContext
    thread_local_storage: threading.local
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    retry_context: None = None


def start_trace() -> TraceContext:
    """Begin a fresh, sampled trace."""
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")


def continue_trace(trace_parent: str, trace_state: str) -> TraceContext:
    """Go on with the caller's trace, or begin one where its `traceparent` is missing or broken."""
    caller = _TRACE_PARENT.fullmatch(trace_parent)
    if caller is None:
        return start_trace()
    return TraceContext(f"00-{caller['trace']}-{secrets.token_hex(8)}-{caller['flags']}", trace_state)

"""One way to call a service over HTTP: the client, its circuit breaker, authorization and Azure credentials."""

from __future__ import annotations

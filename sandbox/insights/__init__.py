"""A stand-in for Application Insights: it takes what host and worker send, keeps it, and shows it.

Its answers are those of the ingestion API; what it is sent is not checked against the published schema.
"""

from __future__ import annotations

from sandbox.insights.app import INSTRUMENTATION_KEY, create_app

__all__ = ["INSTRUMENTATION_KEY", "create_app"]

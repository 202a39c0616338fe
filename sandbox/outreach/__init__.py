"""A stand-in for Outreach: its REST API, its token endpoints, its webhooks, and a sender that delivers as it does.

Written by hand from what Outreach publishes and what others recorded. Where nothing is published the stand-in is strict
and says so beside the rule.
"""

from __future__ import annotations

from sandbox.outreach.app import create_app

__all__ = ["create_app"]

"""The Outreach side of the app: credentials, client, directory, sources beside webhooks, sweep."""

from __future__ import annotations

"""Thin clients of Azure Storage, Dataverse and Outreach. They know the core; the core never imports them."""

from __future__ import annotations

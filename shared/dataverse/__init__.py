"""The Dataverse Web API: appointments and people in Dynamics 365."""

from __future__ import annotations

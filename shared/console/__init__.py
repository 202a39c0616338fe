"""The console: web pages for people over what `shared/admin.py` knows. Rendered here, without JavaScript but to sign in."""

from __future__ import annotations

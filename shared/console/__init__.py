"""The console: web pages for people over what `shared/admin/admin.py` knows. Only the sign-in needs a script."""

from __future__ import annotations

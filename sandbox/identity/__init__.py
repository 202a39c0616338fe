"""A stand-in for the endpoint that gives an app in Azure tokens for its managed identity.

It hands out tokens of the form that Microsoft Entra ID gives, signed with a key of the run, to whoever brings the
header and names the one identity. It can be made to fail, and to give tokens that end soon.
"""

from __future__ import annotations

from sandbox.identity.app import CLIENT_ID, HEADER, TENANT_ID, TOKEN_PATH, TOKEN_SECONDS, create_app

__all__ = ["CLIENT_ID", "HEADER", "TENANT_ID", "TOKEN_PATH", "TOKEN_SECONDS", "create_app"]

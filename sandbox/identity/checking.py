"""What a service of Azure checks of a caller's token, for the stand-ins behind TLS."""

from __future__ import annotations

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.identity.app import TENANT_ID


def is_accepted(authorization: str | None, *, audience: str, key: RSAPublicKey) -> bool:
    """Whether the header holds a token for `audience`, of the one tenant, signed, begun and not ended."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            # A resource may be asked for with a slash at its end; its service takes either.
            audience=[audience, f"{audience}/"],
            issuer=f"https://sts.windows.net/{TENANT_ID}/",
            options={"require": ["aud", "exp", "iat", "iss", "nbf"]},
        )
    except jwt.PyJWTError:
        return False
    return True

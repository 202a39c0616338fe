"""Is this body from Outreach? HMAC over the raw bytes, and the type that proves the check was made.

Outreach signs a delivery with the lowercase hex HMAC-SHA256 of the raw body under the webhook's secret, in the header
`Outreach-Webhook-Signature`: no prefix and no time stamp, so a recorded delivery can be sent again by whoever has
it. A replay changes nothing, because the merge is idempotent and the signed body holds the stamp: `updatedAt`, or the
`deliveredAt` of its `meta`. Only a body in which neither can be true counts from its receipt, and would win again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import BadDelivery

SIGNATURE_HEADER = "outreach-webhook-signature"
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class VerifiedBody:
    """Bytes whose signature was right. Only `verify` makes one, so nothing unverified can reach the queue."""

    raw: bytes


def sign(body: bytes, secret: str) -> str:
    """The signature that Outreach would send for `body`: 64 lowercase hex digits."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(body: bytes, signature: str | None, *, secrets: Sequence[str]) -> VerifiedBody:
    """Check `body` against every secret in `secrets` (the current one, then the previous one while rotating).

    Raises `BadDelivery` with status 413 for a body above 1 MiB and 401 for a missing or wrong signature. The comparison
    takes the same time wherever the first wrong digit stands, and every secret is tried whichever matched.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BadDelivery(
            "body_too_large", f"The body is over {MAX_BODY_BYTES} bytes; Outreach sends far less.", status=413
        )
    if not signature:
        raise BadDelivery("signature_missing", "The header Outreach-Webhook-Signature is missing.", status=401)
    # Compared as bytes: compare_digest refuses text outside ASCII, and a header may hold any.
    given = signature.strip().encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(given, sign(body, secret).encode()) for secret in secrets if secret]
    if not any(matches):
        raise BadDelivery(
            "signature_wrong",
            "The signature does not fit the body. Compare OUTREACH_WEBHOOK_SECRET with the secret of the webhook.",
            status=401,
        )
    return VerifiedBody(body)

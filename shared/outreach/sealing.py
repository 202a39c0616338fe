"""Tokens as they lie in a table: sealed with a key that lies in the vault, so that storage alone opens nothing."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken


@dataclass(frozen=True, slots=True)
class Seal:
    """Closes and opens with one key of 32 bytes (https://github.com/fernet/spec)."""

    key: bytes = field(repr=False)

    def close(self, text: str) -> str:
        """`text`, for nobody without the key."""
        return self._cipher().encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str | None:
        """What was sealed; None where it was not with this key."""
        try:
            return self._cipher().decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None

    def _cipher(self) -> Fernet:
        return Fernet(urlsafe_b64encode(self.key))

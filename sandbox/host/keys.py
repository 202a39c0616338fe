"""Function keys: who may call what.

The real host keeps keys in storage; here two come from the environment. With neither set nothing is checked, as in
Azure Functions Core Tools; with one of them set, whatever would need the other is closed.
https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

AuthLevel = Literal["ANONYMOUS", "FUNCTION", "ADMIN"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that open FUNCTION and ADMIN level; an empty one opens nothing."""

    function: str = ""
    admin: str = ""

    @property
    def checked(self) -> bool:
        """Whether keys are asked for at all."""
        return bool(self.function or self.admin)

    def allow(self, level: AuthLevel, *, presented: str) -> bool:
        """Whether the presented key opens `level`; compares in constant time."""
        if level == "ANONYMOUS" or not self.checked:
            return True
        is_admin = _same(self.admin, presented)
        is_function = _same(self.function, presented)
        return is_admin or (level == "FUNCTION" and is_function)


def _same(key: str, presented: str) -> bool:
    equal = hmac.compare_digest(key.encode(), presented.encode("utf-8", "surrogateescape"))
    return equal and bool(key)

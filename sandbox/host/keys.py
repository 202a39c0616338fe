"""Function keys: who may call what.

The real host keeps keys in storage; here two come from the environment. With neither set nothing is checked, as in
Azure Functions Core Tools; with one of them set, whatever would need the other is closed.
https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from sandbox.host.paths import query_pairs
from sandbox.host.request_head import RequestHead

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


def presented_key(head: RequestHead) -> str:
    """The key that came with a request: the first header wins over the first `?code=`, even where it is empty."""
    header = head.header("x-functions-key")
    if header is not None:
        return header
    return next((value for name, value in query_pairs(head.query) if name.lower() == "code"), "")


def _same(key: str, presented: str) -> bool:
    equal = hmac.compare_digest(key.encode(), presented.encode("utf-8", "surrogateescape"))
    return equal and bool(key)

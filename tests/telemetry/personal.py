"""What must never be in a log, and a search for it: `Watch`. Any test that lets the app run may look through its log.

`Watch.over(stack)` knows what is secret in a stack, `sent` learns each signature, `found` reads log files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from sandbox.outreach.tokens import DEVELOPMENT_TOKEN
from sandbox.stack import Stack
from shared.pipeline.signature import sign

# One word per place of a delivery, a record or a form where something personal may stand.
TITLE: Final = "SecretTitleOfAMeeting"
DESCRIPTION: Final = "SecretDescriptionOfAMeeting"
LOCATION: Final = "SecretLocationOfAMeeting"
WRONG_VALUE: Final = "SecretValueOfAWrongType"
UNKNOWN_FIELD: Final = "SecretValueNobodyReads"
SEARCHED: Final = "SecretWordSomebodySearched"
REASON: Final = "SecretReasonOfADismissal"
RECORD: Final = "SecretIdOfARecord"
ACTION: Final = "secretactionofanevent"
RESOURCE: Final = "SecretNameOfAResource"
PLANTED: Final = (
    TITLE,
    DESCRIPTION,
    LOCATION,
    WRONG_VALUE,
    UNKNOWN_FIELD,
    SEARCHED,
    REASON,
    RECORD,
    ACTION,
    RESOURCE,
)

_ADDRESS: Final = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+\.\w+")
_ALWAYS: Final = (_ADDRESS, re.compile(r"(?i)bearer\s+\S+"), re.compile(r"AccountKey=\S+"), re.compile(r"code=\S+"))
_ACCOUNT_KEY: Final = re.compile(r"AccountKey=([^;]+)")


@dataclass
class Watch:
    """`words` must not be in a log as they are."""

    words: list[str] = field(default_factory=lambda: list(PLANTED))

    @classmethod
    def over(cls, stack: Stack) -> Self:
        """A watch that knows the secrets of `stack`."""
        found = _ACCOUNT_KEY.search(stack.azurite.connection_string)
        assert found
        access = stack.access
        secrets = [access.webhook_secret, access.function_key, access.admin_key, DEVELOPMENT_TOKEN, found[1]]
        return cls([*PLANTED, *secrets])

    def sent(self, body: bytes, *, secret: str) -> str:
        """The signature of `body`, which from now on must not show either."""
        self.words.append(sign(body, secret))
        return self.words[-1]

    def found(self, logs: Iterable[Path]) -> list[str]:
        """Every line that holds what it must not, with the reason in front."""
        return [
            f"{what}: {line}"
            for path in logs
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
            for what in self.in_text(line)
        ]

    def in_text(self, text: str) -> list[str]:
        """What of it is in `text`."""
        words = [word for word in self.words if word in text]
        return words + [found[0] for pattern in _ALWAYS if (found := pattern.search(text))]

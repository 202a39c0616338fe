"""Log records on stderr, one line each, filtered by host.json's `logging.logLevel` as the real host filters them.

Categories: `Function.<name>.User` for what the app logs in an invocation, `Function.<name>` for the host about it,
`Host...` for the host itself, `Worker` for everything else. The longest configured prefix decides, then `default`.
The app's own floods are shown as they are: quieting `azure` and `httpx` is its job.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping

from sandbox.host.invoke import current_invocation

_SHORT_ID = 8


class CategoryFilter(logging.Filter):
    """Lets a record pass if its category's level allows it."""

    def __init__(self, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._levels = {name.lower(): level for name, level in levels.items()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark the record with its category and decide."""
        record.category = category = _category(record)
        return record.levelno >= self._level(category.lower())

    def _level(self, category: str) -> int:
        parts = category.split(".")
        for length in range(len(parts), 0, -1):
            level = self._levels.get(".".join(parts[:length]))
            if level is not None:
                return level
        return self._levels.get("default", logging.INFO)


class OneLineFormatter(logging.Formatter):
    """Time, level, category, invocation, logger, message; line breaks are escaped."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__()
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Make one line of the record and its traceback."""
        invocation = current_invocation.get()
        short = f" {invocation.invocation_id[:_SHORT_ID]}" if invocation else ""
        category = getattr(record, "category", record.name)
        text = super().format(record).replace("\r", "\\r").replace("\n", "\\n")
        return f"{self.formatTime(record)} {record.levelname} [{category}{short}] {record.name}: {text}"


def _category(record: logging.LogRecord) -> str:
    if record.name.split(".", 1)[0] in {"Host", "Function"}:
        return record.name
    invocation = current_invocation.get()
    return f"Function.{invocation.function_name}.User" if invocation else "Worker"


def install_logging(levels: Mapping[str, int], root_level: int) -> logging.Handler:
    """Send all records to stderr; the root logger starts at the worker's own level (INFO)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(CategoryFilter(levels))
    handler.setFormatter(OneLineFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(root_level)
    return handler

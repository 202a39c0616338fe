"""The table of what a host answers: all rows that one start of a host can be held against."""

from __future__ import annotations

from typing import Final

from tests.sandbox.host.table.answers import answers, cookies
from tests.sandbox.host.table.bodies import bodies, chunks, connections, sizes
from tests.sandbox.host.table.heads import headers, methods, targets
from tests.sandbox.host.table.keys import admin, keys, runs_by_hand
from tests.sandbox.host.table.paths import paths, queries, values
from tests.sandbox.host.table.row import Row
from tests.sandbox.host.table.settings import home, traces

REQUESTS: Final = (keys, methods, targets, paths, values, queries, headers, bodies, sizes, chunks, connections)
ANSWERS: Final = (answers, cookies, traces, admin, runs_by_hand, home)
ROWS: Final[list[Row]] = [row for group in (*REQUESTS, *ANSWERS) for row in group()]

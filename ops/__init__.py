"""The admin's command line: `python -m ops --help`. It runs on the admin's machine and is not deployed.

`cli` lists the commands; each has a module of its own, named after it. `settings` says where settings and keys come
from, `report` how results are shown, `remote` talks to the app's routes.
"""

from __future__ import annotations

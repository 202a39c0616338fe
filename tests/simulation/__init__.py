"""Proof by simulation: the merge and the fenced write under every order of steps, crash and late request.

`operations` turns each I/O step of a worker into an object, `stores` says what such a step does, `world` what can happen
next, `explore` goes through all of it, `invariants` judges where it ends. `scenarios` are the cases, `seeded_bugs` shows
that the judge can say no.
"""

from __future__ import annotations

"""The whole product on one laptop: real storage (Azurite), a functions host, stand-ins for Dataverse and Outreach.

For the demo, the tests and the benchmarks. The product never imports it.
"""

from __future__ import annotations

"""`make bench`: what the product costs and how fast it is, side by side with a naive build of the same job.

It measures and judges; what is measured is in `shared/` and `functions/`, what it runs against in `sandbox/`.
"""

from __future__ import annotations

"""`python -m tests.differential 20000 --first 5000`: that many, from that number on."""

from __future__ import annotations

import argparse
import sys

from tests.differential.judge import first_fault


def main() -> None:
    """Print the smallest form of the first history that ends otherwise; leave with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("histories", type=int)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    found = first_fault(range(asked.first, asked.first + asked.histories))
    if found is not None:
        sys.exit(found)
    sys.stdout.write(f"{asked.histories:,} histories end as the model says.\n")


main()

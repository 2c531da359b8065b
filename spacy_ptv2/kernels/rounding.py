"""Lets a product of matrices not depend on where in memory they are.

MKL rounds products with a single row in another way if the weights do not begin at a multiple of 16 bytes (torch 2.13
on an AMD EPYC with AVX-512). So two processes could differ by 1e-7, which bytes show. It costs no time that could be
measured there.
Source: https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2024-2/obtaining-numerically-reproducible-results.html
"""

from __future__ import annotations

import os

VARIABLE = "MKL_CBWR"


def make_rounding_reproducible() -> None:
    """Ask MKL for the same bits in every process that has as many threads. Too late once it has computed anything."""
    os.environ.setdefault(VARIABLE, "AUTO")

"""A fixed set of random functions: see random_functions.py."""

from __future__ import annotations

import pytest
import random_functions


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(40))
def test_random_function(seed):
    random_functions.run(seed)

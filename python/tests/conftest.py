"""Every test starts without compiled graphs, and with a cache of its own that goes with the session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from jitc import _backend, _torch

# Where tensors of the tests lie: JITC_TEST_DEVICE=cuda runs all but those of the extension module on the GPU.
DEVICE = os.environ.get("JITC_TEST_DEVICE", "cpu")
# Dynamo does not see the device that tensors made inside of a function would get here; a failed assertion ends a GPU's context.
HOST_ONLY = {
    "test_constants",
    "test_cache_that_starts_empty",
    "test_literals_that_are_written_are_made_anew",
    "test_arange_and_mask",
    "test_random_numbers_stay_in_order",
    "test_assertions_are_kept",
}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cache")
    os.environ["JITC_CACHE_DIR"] = str(path)
    return path


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> Iterator[None]:
    if DEVICE != "cpu" and request.node.originalname in HOST_ONLY:
        pytest.skip("a test of the host")
    torch._dynamo.reset()
    torch.manual_seed(0)
    _backend._warned.clear()
    elsewhere = DEVICE != "cpu" and request.module.__name__ != "test_native"
    with torch.device(DEVICE) if elsewhere else contextlib.nullcontext():
        yield


@pytest.fixture
def plain() -> Iterator[None]:
    """Tensors cross by Python's functions, as before torch 2.10."""
    assert not _torch.adopt(exchange=False)
    yield
    _torch.adopt()


@pytest.fixture
def resident() -> Callable[[], int]:
    """Bytes of memory that the process has."""

    def read() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    return read


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The closing line that continuous integration adds up."""
    stats = terminalreporter.stats
    count = {name: len(stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    failed = count["failed"] + count["error"]
    terminalreporter.write_line(f"{count['passed']} passed, {failed} failed, {count['skipped']} skipped")

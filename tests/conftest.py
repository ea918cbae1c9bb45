"""Fixtures for every test: an embedded engine with a database of its own, and the real API responses.

The engine allows one directory per process, so all tests of a process share one; each gets a fresh database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from harvester.store.engine import Engine, Handle, quote_name
from harvester.store.errors import StoreError, StoreFault

settings.register_profile(
    "shared", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("shared")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs out unless they are asked for with `-m soak`."""
    if "soak" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="a long proof: make soak")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def engine_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one embedded data directory of this test process."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def empty_engine(engine_directory: Path) -> Iterator[Engine]:
    """An engine whose database does not exist yet; what a test creates is dropped."""
    engine = Engine(f"chdb://{engine_directory}", f"test_{uuid4().hex[:12]}")
    yield engine
    try:
        with engine.open(writes=False) as handle:
            handle.run(f"DROP DATABASE IF EXISTS {quote_name(engine.database)} SYNC")
    except StoreError as error:
        if error.fault is not StoreFault.NO_DATABASE:
            raise


@pytest.fixture
def engine(empty_engine: Engine) -> Iterator[Engine]:
    """An engine with a fresh, empty database."""
    empty_engine.create_database()
    # The engine stops with its last handle and takes a while to start again.
    with empty_engine.open(writes=False):
        yield empty_engine


@pytest.fixture
def handle(engine: Engine) -> Iterator[Handle]:
    """A writing handle on the fresh database of `engine`."""
    with engine.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real API responses beside the checkout; tests that need it are skipped without it."""
    directory = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not directory.is_dir():
        pytest.skip(f"no real API responses at {directory}")
    return directory

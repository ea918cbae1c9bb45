"""Fixtures for every test: a store with a database of its own, and the real API responses.

`--store` says which store: `embedded` (the default), `http` (the test server, the same engine behind HTTP), or
`server` (a true one, named by POE_TEST_CLICKHOUSE_URL). All tests of a process share it; each gets a fresh database.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.quoting import quote_name
from tests.http_front.process import ServerProcess

settings.register_profile(
    "shared", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("shared")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--store`: what the tests of the store run over; `--shuffle`: in which order."""
    parser.addoption("--store", choices=("embedded", "http", "server"), default="embedded")
    parser.addoption("--shuffle", metavar="SEED", help="run the tests in a random order of this seed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs out unless they are asked for with `-m soak`; put the rest in the order asked for."""
    if seed := config.getoption("--shuffle"):
        Random(seed).shuffle(items)
    if "soak" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="a long proof: make soak")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Collect garbage less: what is loaded by now stays, and to look through it takes a tenth of all tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(scope="session")
def engine_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one embedded data directory of this test process."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the store of this test process is."""
    kind = request.config.getoption("--store")
    if kind == "embedded":
        yield f"chdb://{request.getfixturevalue('engine_directory')}"
    elif kind == "http":
        directory = request.getfixturevalue("tmp_path_factory").mktemp("server")
        with ServerProcess(directory / "data") as server:
            yield server.url
    elif url := os.environ.get("POE_TEST_CLICKHOUSE_URL"):
        yield url
    else:
        pytest.skip("--store server needs POE_TEST_CLICKHOUSE_URL")


@dataclass(frozen=True)
class OpenStore:
    """Where databases of tests are made and dropped."""

    url: str
    credentials: dict[str, str]
    keeper: Handle


@pytest.fixture(scope="module")
def open_store(store_url: str) -> Iterator[OpenStore]:
    """The store, kept open while a file's tests run: the engine stops with its last handle and starts slowly."""
    user = os.environ.get("POE_TEST_CLICKHOUSE_USER", ""), os.environ.get("POE_TEST_CLICKHOUSE_PASSWORD", "")
    credentials = dict(zip(("user", "password"), user, strict=True)) if store_url.startswith("http") else {}
    with Engine(store_url, "default", **credentials).open(writes=False) as keeper:
        yield OpenStore(store_url, credentials, keeper)


@pytest.fixture(scope="module")
def file_engine(open_store: OpenStore) -> Iterator[Engine]:
    """An engine with an empty database that the tests of a file share."""
    engine = Engine(open_store.url, f"test_{uuid4().hex[:12]}", **open_store.credentials)
    engine.create_database()
    yield engine
    open_store.keeper.run(f"DROP DATABASE IF EXISTS {quote_name(engine.database)} SYNC")


@pytest.fixture
def empty_engine(open_store: OpenStore) -> Iterator[Engine]:
    """An engine whose database does not exist yet; what a test creates is dropped."""
    engine = Engine(open_store.url, f"test_{uuid4().hex[:12]}", **open_store.credentials)
    yield engine
    open_store.keeper.run(f"DROP DATABASE IF EXISTS {quote_name(engine.database)} SYNC")


@pytest.fixture
def engine(empty_engine: Engine) -> Engine:
    """An engine with a fresh, empty database."""
    empty_engine.create_database()
    return empty_engine


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

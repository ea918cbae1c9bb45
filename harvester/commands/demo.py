"""The demo: the real harvest against a simulated API, in a directory that is thrown away at the next one."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path

import httpx
import platformdirs

from harvester.clock import SystemClock
from harvester.commands.hints import program
from harvester.feeds.currency_exchange import DAY, start_of_hour
from harvester.files import create_directory
from harvester.settings import Settings, demo_settings
from harvester.simulator.answers import Latency
from harvester.simulator.api import SimulatedApi
from harvester.simulator.exchange import CurrencyExchange, Good
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.river import River
from harvester.simulator.transport import SimulatorTransport
from harvester.store.currency_names import PATHS_BELOW, all_names
from harvester.store.embedded import holder_of

DEMO_PAGES = 25
"""What a demo without a terminal harvests before it ends."""
EXCHANGE_DAYS = 60
"""How far back the simulated exchange keeps its hours; the harvest begins a day back."""
EXCHANGE_MARKETS = 1450
"""As many as an hour of PC has."""
_BASE_URL = "http://127.0.0.1:9"
"""Never connected to: the simulator answers in process."""
_MARK = "poe-ledger-demo"


def last_demo_directory() -> Path:
    """Where the last demo left its data, so that it can be looked at."""
    return platformdirs.user_cache_path("poe-ledger") / "demo"


def new_demo_directory() -> Path:
    """A fresh place for a demo: what the last one left there is removed, a running one is left alone."""
    directory = last_demo_directory()
    if holder_of(directory / "clickhouse") is not None:
        return Path(tempfile.mkdtemp(prefix="poe-ledger-demo-"))
    if (directory / _MARK).exists():
        shutil.rmtree(directory)
    create_directory(directory)
    (directory / _MARK).touch()
    return directory


def demo_command(directory: Path) -> str:
    """What stands before a command's name to look at the demo in `directory`."""
    if directory == last_demo_directory():
        return f"{program()} --demo --headless"
    store, cursors = shlex.quote(f"chdb://{directory / 'clickhouse'}"), shlex.quote(str(directory / "cursors"))
    return f"POE_CLICKHOUSE_URL={store} POE_CURSOR_DIR={cursors} {program()} --headless"


def settings_of_demo(directory: Path) -> Settings:
    """The operator's settings with everything that names a server, a client or a place replaced."""
    return demo_settings(directory, _BASE_URL)


def exchange_goods() -> tuple[Good, ...]:
    """Everything that the table of names knows by a path of the game: what is exchanged for what."""
    by_path = ((name, key) for key, name in all_names().items() if key.startswith(PATHS_BELOW))
    return tuple({code: Good(code, name, path) for (code, name), path in by_path}.values())


def demo_transport(settings: Settings, seed: int = 1) -> httpx.AsyncBaseTransport:
    """A simulated API for the realms of the settings, as lively as the real one on a quiet day."""
    clock = SystemClock()
    rivers = [
        River(seed, queue.realm, clock.now(), stash_rate=60.0, backlog_pages=200)
        for queue in settings.queues
        if queue.feed == "psapi"
    ]
    oldest = start_of_hour(clock.now()) - EXCHANGE_DAYS * DAY
    exchanges = [
        CurrencyExchange(seed, queue.realm, oldest=oldest, markets=EXCHANGE_MARKETS, goods=exchange_goods())
        for queue in settings.queues
        if queue.feed == "cxapi"
    ]
    api = SimulatedApi(
        clock,
        rivers,
        client_id=settings.oauth_client_id,
        client_secret=settings.client_secret(),
        latency=Latency(thinking=(0.15, 0.35)),
        seed=seed,
        endpoints=[ExchangeEndpoint(exchanges)],
    )
    return SimulatorTransport(api)

"""The currency exchange as an operator meets it: nothing configured, `--since`, killed, gone on with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harvester.clock import SystemClock
from harvester.commands.harvest import HarvestOptions, run_harvest
from harvester.commands.market_harvester import run as market_harvester
from harvester.commands.rebuild import run_rebuild
from harvester.commands.sanity import run_sanity
from harvester.commands.since import Plan, SinceRefused, parse_since, plan_since
from harvester.commands.status import run_status
from harvester.feeds.currency_exchange import FIRST_HOURS, HOUR, Fill, hour_text, start_of_hour
from harvester.model import Checkpoint, CheckpointStatus, Page, Queue, SpooledPage
from harvester.settings import load_settings
from harvester.simulator.api import SimulatedApi
from harvester.simulator.exchange import CurrencyExchange
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.river import River
from harvester.simulator.rules import Policy
from harvester.simulator.transport import SimulatorTransport
from harvester.store.checkpoints import write_checkpoint
from harvester.store.engine import Engine
from harvester.store.spool import Spool
from harvester.supervisor import Goal
from tests.schema_template import migrate

NOW = 1_790_000_000 // HOUR * HOUR + 120
CX, HISTORY = Queue("cxapi", "pc"), Queue("cxapi-history", "pc")


class Market:
    """A simulated exchange, and the commands against it in this process, with nothing configured but the places."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        clock = SystemClock()
        self.engine = engine
        self.exchange = CurrencyExchange(oldest=start_of_hour(clock.now()) - 90 * HOUR, markets=20)
        endpoint = ExchangeEndpoint([self.exchange], fastest=0.0)
        endpoint.policy = Policy("as-fast-as-it-goes", {"Ip": ["1000:1:1"]})
        self.api = SimulatedApi(clock, River(1, start=clock.now(), pages=1), endpoints=[endpoint])
        places = {
            "POE_CLICKHOUSE_URL": engine.url,
            "POE_CLICKHOUSE_DATABASE": engine.database,
            "POE_CURSOR_DIR": str(directory / "cursors"),
        }
        self.settings = load_settings(places, env_file=None)

    def harvest(self, since: str = "") -> tuple[int, dict[str, dict[str, Any]], str]:
        """Exit code, what was said of each queue, and the talk."""
        out, err = StringIO(), StringIO()
        goal = Goal(until_caught_up=True)
        transport = lambda: SimulatorTransport(self.api)  # noqa: E731
        options = HarvestOptions(goal=goal, json=True, since=since, transport=transport)
        code = run_harvest(self.settings, options, out=out, err=err)
        said = json.loads(out.getvalue())["queues"] if out.getvalue() else []
        return code, {queue["queue"]: queue for queue in said}, err.getvalue()


def test_with_nothing_configured_the_exchange_is_harvested_and_history_is_filled_later(
    empty_engine: Engine, tmp_path: Path
) -> None:
    market = Market(empty_engine, tmp_path)
    served = market.exchange.served
    code, queues, said = market.harvest()
    assert code == 0, said
    assert list(queues) == ["cxapi:pc"]
    assert queues["cxapi:pc"]["caught_up"]
    left_out = [line for line in said.splitlines() if "public stash feed" in line]
    assert len(left_out) == 1
    assert "POE_OAUTH_CLIENT_ID" in left_out[0]
    first = min(served)
    assert len(served) in (24, 25)

    since = datetime.fromtimestamp(first - 17 * HOUR, UTC).isoformat()
    code, queues, said = market.harvest(since)
    assert code == 0, said
    assert queues["cxapi-history:pc"]["pages"] == 17
    assert "fills the hours before" in said
    code, queues, said = market.harvest(since)
    assert code == 0
    assert "is stored already" in said

    assert set(served) == set(range(first - 17 * HOUR, max(served) + HOUR, HOUR))
    assert set(served.values()) == {1}, "each hour is fetched once"
    assert market.api.truth.complaints == []
    assert market.api.truth.broken == []

    out = StringIO()
    assert run_sanity(empty_engine, out=out, err=out) == 0, out.getvalue()
    out = StringIO()
    assert run_status(market.settings, json=True, out=out, err=out) == 0
    status = json.loads(out.getvalue())
    levels = {queue["queue"]: queue["level"] for queue in status["queues"]}
    assert levels == {"cxapi:pc": "ok", "psapi:pc": "unknown"}, "what has no client yet is told too"
    assert status["layers"]["raw_currency_exchange_hours"] == len(served)
    out = StringIO()
    assert run_rebuild(market.settings, json=True, out=out, err=StringIO()) == 0
    assert json.loads(out.getvalue())["exchange"]["hours"] == len(served)


def test_without_a_client_the_stash_feed_alone_is_a_wrong_configuration(empty_engine: Engine, tmp_path: Path) -> None:
    market = Market(empty_engine, tmp_path)
    market.settings = market.settings.with_overrides(feeds=["psapi"])
    code, queues, said = market.harvest()
    assert (code, queues) == (2, {})
    assert "needs an OAuth client of your own" in said
    assert market.api.truth.asked == []


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-08", ""])
def test_a_since_that_cannot_be_read_says_what_is_wanted(text: str) -> None:
    with pytest.raises(SinceRefused, match="such as 2026-11-01"):
        parse_since(text, NOW)


def test_market_harvester_fills_history_too_and_not_in_a_dry_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{tmp_path}/none")
    arguments = ["--league", "Standard", "--realm", "poe2", "--since", "2999-01-01"]
    err = StringIO()
    assert market_harvester(arguments, StringIO(), err) == 2
    assert "lies in the future" in err.getvalue()
    with pytest.raises(SystemExit):
        market_harvester([*arguments, "--dry-run"], StringIO(), err)
    assert "does not go with --dry-run" in capsys.readouterr().err


def test_since_is_read_as_a_day_an_hour_or_with_a_zone() -> None:
    day = int(datetime(2026, 8, 1, tzinfo=UTC).timestamp())
    assert parse_since("2026-08-01", NOW) == day
    assert parse_since("2026-08-01T13:30", NOW) == day + 13 * HOUR
    assert parse_since("2026-08-01 02:00+02:00", NOW) == day
    with pytest.raises(SinceRefused, match="future"):
        parse_since("2026-10-01", NOW)


class Standing:
    """A store in which queues stand somewhere, and what `--since` comes to there."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        migrate(engine)
        self.engine = engine
        self.settings = load_settings(
            {"POE_CURSOR_DIR": str(directory / "cursors"), "POE_FEEDS": "cxapi"}, env_file=None
        )

    def stands(self, queue: Queue, first: int, following: int, seq: int = 2) -> None:
        with self.engine.open() as handle:
            step = HOUR if following > first else -HOUR
            for at, asked, then in ((1, first, first + step), (seq, following - step, following)):
                page = CheckpointStatus.PAGE
                write_checkpoint(handle, Checkpoint(queue.key, at, str(asked), str(then), NOW, page, 200, 1.0), NOW)

    def plan(self, since: int) -> Plan:
        return plan_since(since, self.settings, self.engine, [CX])


@pytest.fixture
def standing(engine: Engine, tmp_path: Path) -> Standing:
    return Standing(engine, tmp_path)


def test_a_new_store_begins_where_it_is_told_and_goes_on_from_its_spool(standing: Standing) -> None:
    since = NOW - NOW % HOUR - 1000 * HOUR
    assert standing.plan(since) == Plan({CX: Fill(since)})
    with pytest.raises(SinceRefused, match="no hour before 2024-07-26 20:00 UTC"):
        standing.plan(FIRST_HOURS["pc"] - HOUR)

    spool = Spool(standing.settings.spool_dir, CX)
    spool.put(SpooledPage(1, Page(CX, str(since), str(since + HOUR), NOW, b"{}")))
    plan = standing.plan(since)
    assert (plan.fills, plan.more_queues) == ({}, ())
    assert f"going on from {hour_text(since + HOUR)} UTC" in plan.remarks[0]


def test_what_is_stored_is_gone_on_with_and_never_left_with_a_gap(standing: Standing) -> None:
    first = NOW - NOW % HOUR - 1000 * HOUR
    standing.stands(CX, first, first + 100 * HOUR)
    for since in (first, first + 50 * HOUR, first + 100 * HOUR):
        assert (standing.plan(since).fills, standing.plan(since).more_queues) == ({}, ())
    with pytest.raises(SinceRefused, match="would leave a gap") as refused:
        standing.plan(first + 101 * HOUR)
    assert "Leave --since out" in str(refused.value)


def test_what_lies_before_is_filled_back_in_time_and_gone_on_with(standing: Standing) -> None:
    first = NOW - NOW % HOUR - 1000 * HOUR
    standing.stands(CX, first, first + 100 * HOUR)
    plan = standing.plan(first - 50 * HOUR)
    assert plan.fills == {HISTORY: Fill(first - HOUR, first - 50 * HOUR)}
    assert plan.more_queues == (HISTORY,)

    standing.stands(HISTORY, first - HOUR, first - 21 * HOUR)
    assert standing.plan(first - 50 * HOUR).fills == {HISTORY: Fill(first - 21 * HOUR, first - 50 * HOUR)}
    done = standing.plan(first - 20 * HOUR)
    assert (done.fills, done.more_queues) == ({}, ())
    assert "is stored already" in done.remarks[0]


def test_since_is_for_the_exchange_only(standing: Standing) -> None:
    with pytest.raises(SinceRefused, match="add --feed cxapi"):
        plan_since(NOW - HOUR, standing.settings, standing.engine, [Queue("psapi", "pc")])

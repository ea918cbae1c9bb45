"""Hours of the exchange into the store: against an independent reading, through bad markets, crashes and rebuilds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harvester.clock import VirtualClock
from harvester.feeds.currency_exchange import HOUR
from harvester.model import Page, Queue, SpooledPage
from harvester.simulator.exchange import GOODS, PATHS_SINCE, CurrencyExchange
from harvester.store.begun import begun_after
from harvester.store.commit import Committer
from harvester.store.crash_points import CURRENCY_CRASH_POINTS, CrashPoint, no_crash
from harvester.store.currency_layers import CurrencyExchangeLayers
from harvester.store.currency_names import NamesUnreadable, all_names, read_names, sync_names
from harvester.store.currency_rebuild import CurrencyRebuild
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PageCounts
from harvester.store.rebuild import RebuildEnd
from harvester.store.retention import apply_retention
from harvester.store.spool import Spool
from tests.schema_template import migrate

QUEUE = Queue("cxapi", "pc")
FIRST = PATHS_SINCE + 1000 * HOUR
_SIDES = ("volume_traded", "lowest_stock", "highest_stock", "lowest_ratio", "highest_ratio")


class Hours:
    """One queue of the exchange over a fresh store."""

    def __init__(self, handle: Handle, directory: Path, leagues: Sequence[str] = ()) -> None:
        self.handle = handle
        self.leagues = leagues
        self.spool = Spool(directory, QUEUE)
        self.clock = VirtualClock()
        self.renew()

    def renew(self, crash_point: CrashPoint = no_crash) -> tuple[int, ...]:
        """A new committer, as after a restart; returns what is to be committed."""
        layers = CurrencyExchangeLayers(self.handle, QUEUE, self.leagues, crash_point=crash_point)
        self.committer = Committer(self.handle, QUEUE, layers, self.spool, self.clock, crash_point=crash_point)
        return self.committer.recover().to_commit

    def put(self, seq: int, body: bytes, hour: int | None = None) -> None:
        at = FIRST + (seq - 1) * HOUR if hour is None else hour
        self.spool.put(SpooledPage(seq, Page(QUEUE, str(at), str(at + HOUR), float(at + HOUR + 6), body)))

    def commit(self, seq: int, body: bytes, hour: int | None = None) -> PageCounts:
        self.put(seq, body, hour)
        return self.committer.commit(seq)[1]

    def stored(self) -> set[tuple[Any, ...]]:
        """Silver, as `expected` gives it."""
        rows = self.handle.rows(
            "SELECT toUnixTimestamp(hour), league, key_a, key_b, volume_a, volume_b, lowest_stock_a, lowest_stock_b,"
            " highest_stock_a, highest_stock_b, lowest_ratio_a, lowest_ratio_b, highest_ratio_a, highest_ratio_b"
            " FROM silver_currency_markets WHERE realm = 'pc'"
        )
        assert len(rows) == len(set(rows)), "a market stands twice"
        return set(rows)


def expected(hour: int, body: bytes, leave_out: Sequence[int] = ()) -> set[tuple[Any, ...]]:
    """The markets of a body, by the plain JSON reader."""
    found = set()
    for position, market in enumerate(json.loads(body)["markets"]):
        if position not in leave_out:
            a, b = market.get("market_pair") or market["market_id"].split("|")
            numbers = [market[side][key] for side in _SIDES for key in (a, b)]
            found.add((hour, market["league"], a, b, *numbers))
    return found


@pytest.fixture
def hours(engine: Engine, tmp_path: Path) -> Any:
    migrate(engine)
    with engine.open() as handle:
        yield Hours(handle, tmp_path)


def simulated(**options: Any) -> CurrencyExchange:
    return CurrencyExchange(3, oldest=FIRST, **{"markets": 80, **options})


def test_hours_are_stored_as_an_independent_reader_reads_them(hours: Hours) -> None:
    exchange = simulated()
    truth = set()
    for seq in range(1, 4):
        body = exchange.body(FIRST + (seq - 1) * HOUR)
        counts = hours.commit(seq, body)
        truth |= expected(FIRST + (seq - 1) * HOUR, body)
        assert (counts.items, counts.set_aside) == (len(json.loads(body)["markets"]), 0)
    assert hours.stored() == truth
    raw = hours.handle.rows("SELECT body, body_sha256, queue_key, seq FROM raw_currency_exchange_hours ORDER BY seq")
    assert [(key, seq) for _, _, key, seq in raw] == [("cxapi:pc", 1), ("cxapi:pc", 2), ("cxapi:pc", 3)]
    assert raw[0][0].encode() == exchange.body(FIRST)
    assert raw[0][1] in (
        hashlib.sha256(exchange.body(FIRST)).hexdigest(),
        hashlib.sha256(exchange.body(FIRST)).hexdigest().encode(),
    )


@pytest.mark.shared
def test_a_real_hour_is_stored_as_it_is_and_most_of_it_has_names(hours: Hours, shared_data: Path) -> None:
    files = sorted((shared_data / "currency-exchange").glob("*.json"))
    sync_names(hours.handle, all_names(), 1.0)
    body = files[0].read_bytes()
    hour = json.loads(body)["next_change_id"] - HOUR
    hours.commit(1, body, hour)
    assert hours.stored() == expected(hour, body)
    keys = {key for market in json.loads(body)["markets"] for key in market["market_pair"]}
    assert len([key for key in keys if key in all_names()]) >= 5, "two of the seven are younger than the table"
    rows = hours.handle.rows(
        "SELECT currency_a, currency_b, price, lowest_price, highest_price FROM v_currency_latest"
        " WHERE league = 'Allflame' AND code_b = 'divine'"
    )
    assert rows == [("Chaos Orb", "Divine Orb", pytest.approx(201.398, abs=0.001), 199.0, 204.0)]


def test_both_forms_of_keys_lead_to_one_name_and_unknown_ones_stay(hours: Hours, tmp_path: Path) -> None:
    codes = simulated(paths_since=FIRST + HOUR)
    hours.commit(1, codes.body(FIRST))
    hours.commit(2, codes.body(FIRST + HOUR))
    assert b'"market_pair"' not in codes.body(FIRST)
    sync_names(hours.handle, all_names(), 1.0)
    pairs = hours.handle.rows(
        "SELECT hour, uniqExact(key_a), groupUniqArray(code_a) FROM v_currency_markets"
        " WHERE currency_a = 'Chaos Orb' GROUP BY hour ORDER BY hour"
    )
    assert [(keys, found) for _, keys, found in pairs] == [(1, ["chaos"]), (1, ["chaos"])]
    names = {good.code: good.name for good in GOODS}
    shown = hours.handle.rows("SELECT DISTINCT code_b, currency_b FROM v_currency_markets")
    assert all(names[code] == name for code, name in shown)
    own = tmp_path / "own.tsv"
    own.write_text("# mine\nchaos\tKaos\tCurrency/CurrencyRerollRare\nshiny\tShiny Thing\tCurrency/Shiny\n", "utf-8")
    assert sync_names(hours.handle, all_names(own), 2.0) == 4
    assert hours.handle.rows("SELECT count() FROM v_currency_markets WHERE currency_a = 'Kaos'")[0][0] > 0
    assert sync_names(hours.handle, {}, 3.0) == len(all_names(own))
    assert hours.handle.rows("SELECT DISTINCT currency_b = key_b FROM v_currency_markets") == [(1,)]


@pytest.mark.parametrize("line", ["chaos", "\tname", "chaos\tChaos Orb\tA\tB", "chaos Chaos Orb"])
def test_a_line_that_names_nothing_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "own.tsv"
    path.write_text(f"# fine\n{line}\n", "utf-8")
    with pytest.raises(NamesUnreadable, match=r"own\.tsv, line 2: a short code, a name and the paths are wanted"):
        read_names(path)


def _broken(market: dict[str, Any], how: str) -> str:
    if how == "negative":
        market["highest_stock"] = dict.fromkeys(market["highest_stock"], -1)
    if how == "too large":
        market["volume_traded"] = dict.fromkeys(market["volume_traded"], 2**64)
    elif how == "text":
        market["lowest_stock"] = "none"
    elif how == "no league":
        market["league"] = ""
    elif how == "one currency":
        market["market_pair"], market["market_id"] = market["market_pair"][:1], ""
    elif how == "strangers":
        market["highest_ratio"] = {"mirror": 1}
    elif how == "infinite":
        text = json.dumps(market)
        return '{"odd": 1e999, ' + text[1:]
    return json.dumps(market)


@pytest.mark.parametrize("how", ["negative", "too large", "text", "no league", "one currency", "strangers", "infinite"])
def test_a_bad_market_is_set_aside_alone(hours: Hours, how: str) -> None:
    markets = json.loads(simulated(markets=30).body(FIRST))["markets"]
    texts = [json.dumps(market) for market in markets]
    texts[7] = _broken(markets[7], how)
    body = f'{{"next_change_id": {FIRST + HOUR}, "markets": [{", ".join(texts)}]}}'.encode()
    good = f'{{"next_change_id": 0, "markets": [{", ".join([*texts[:7], *texts[8:]])}]}}'.encode()
    counts = hours.commit(1, body)
    assert (counts.items, counts.set_aside) == (len(markets) - 1, 1)
    assert hours.stored() == expected(FIRST, good)
    letters = hours.handle.rows(
        "SELECT queue_key, kind, position, byte_offset, body FROM bronze_dead_letters", as_bytes=True
    )
    assert letters == [(b"cxapi:pc", b"record", 7, body.index(texts[7].encode()), texts[7].encode())]


def test_a_market_that_stands_twice_counts_once(hours: Hours) -> None:
    markets = json.loads(simulated(markets=20).body(FIRST))["markets"]
    body = json.dumps({"next_change_id": FIRST + HOUR, "markets": [*markets, markets[0]]}).encode()
    assert hours.commit(1, body).set_aside == 1
    assert hours.stored() == expected(FIRST, body, leave_out=[len(markets)])


def test_leagues_are_filtered_on_arrival(engine: Engine, tmp_path: Path) -> None:
    migrate(engine)
    with engine.open() as handle:
        hours = Hours(handle, tmp_path, ["Standard", "Hardcore"])
        body = simulated().body(FIRST)
        hours.commit(1, body)
        others = [n for n, m in enumerate(json.loads(body)["markets"]) if m["league"] not in ("Standard", "Hardcore")]
        assert others
        assert hours.stored() == expected(FIRST, body, leave_out=others)
        stored, kept = handle.rows("SELECT body, league_filter FROM raw_currency_exchange_hours")[0]
        assert {market["league"] for market in json.loads(stored)["markets"]} == {"Standard", "Hardcore"}
        assert kept == ["Hardcore", "Standard"]


class _PulledPlug(BaseException):
    """Ends a commit on the spot."""


@pytest.mark.parametrize("step", CURRENCY_CRASH_POINTS)
def test_every_step_of_a_commit_can_be_repeated(hours: Hours, step: str) -> None:
    markets = json.loads(simulated(markets=20).body(FIRST))["markets"]
    markets[3]["league"] = ""
    body = json.dumps({"next_change_id": FIRST + HOUR, "markets": markets}).encode()

    def crash(reached: str) -> None:
        if reached == step:
            raise _PulledPlug

    hours.renew(crash)
    with pytest.raises(_PulledPlug):
        hours.commit(1, body)
    for seq in hours.renew():
        hours.committer.commit(seq)
    hours.commit(2, simulated().body(FIRST + HOUR))
    assert hours.stored() == expected(FIRST, body, [3]) | expected(FIRST + HOUR, simulated().body(FIRST + HOUR))
    assert hours.handle.rows("SELECT count(), uniqExact(hour) FROM raw_currency_exchange_hours") == [(2, 2)]
    assert hours.handle.rows("SELECT count() FROM bronze_dead_letters") == [(1,)]
    assert hours.handle.rows("SELECT count() FROM bronze_ingest_checkpoints WHERE status = 'page'") == [(2,)]
    assert hours.spool.sequences == []


def test_a_begun_hour_that_left_the_spool_is_taken_from_the_store(hours: Hours) -> None:
    body = simulated().body(FIRST)

    def crash(reached: str) -> None:
        if reached == "currency_markets":
            raise _PulledPlug

    hours.renew(crash)
    with pytest.raises(_PulledPlug):
        hours.commit(1, body)
    hours.spool.remove(1)
    begun = begun_after(hours.handle, QUEUE, 0)
    assert begun is not None
    assert begun.page.body == body
    assert hours.renew() == (1,)
    hours.committer.commit(1)
    assert hours.stored() == expected(FIRST, body)


def test_an_hour_that_changed_is_told_and_what_is_stored_stays(hours: Hours) -> None:
    body, other = simulated().body(FIRST), CurrencyExchange(4, oldest=FIRST, markets=80).body(FIRST)

    def crash(reached: str) -> None:
        if reached == "currency_markets":
            raise _PulledPlug

    hours.renew(crash)
    with pytest.raises(_PulledPlug):
        hours.commit(1, body)
    hours.put(1, other)
    hours.renew()
    counts = hours.committer.commit(1)[1]
    assert "UTC came with other bytes than are stored" in counts.remark
    assert hours.stored() == expected(FIRST, body)


def test_an_hour_that_is_given_up_leaves_no_markets(hours: Hours) -> None:
    body = simulated().body(FIRST)

    def crash(reached: str) -> None:
        if reached == "checkpoint":
            raise _PulledPlug

    hours.renew(crash)
    with pytest.raises(_PulledPlug):
        hours.commit(1, body)
    hours.renew()
    hours.committer.give_up(1, "as a test")
    assert hours.stored() == set()
    assert hours.handle.rows("SELECT kind, reason FROM bronze_dead_letters") == [("page", "as a test")]


def test_a_rebuild_gives_the_same_rows_and_keeps_what_bronze_no_longer_covers(hours: Hours, engine: Engine) -> None:
    exchange = simulated()
    truth = set()
    for seq in range(1, 6):
        hours.commit(seq, exchange.body(FIRST + (seq - 1) * HOUR))
        truth |= expected(FIRST + (seq - 1) * HOUR, exchange.body(FIRST + (seq - 1) * HOUR))
    hours.handle.run(
        f"ALTER TABLE raw_currency_exchange_hours DELETE WHERE hour <= toDateTime({FIRST + HOUR})",
        settings={"mutations_sync": 1},
    )
    hours.handle.run(
        f"ALTER TABLE silver_currency_markets UPDATE volume_a = 1 WHERE hour > toDateTime({FIRST + HOUR})",
        settings={"mutations_sync": 1},
    )
    assert hours.stored() != truth

    def crash(reached: str) -> None:
        if reached == "exchange":
            raise _PulledPlug

    with pytest.raises(_PulledPlug):
        CurrencyRebuild(engine, ["pc"], crash_point=crash).run(lambda _: None, lambda: False)
    steps: list[int] = []
    result = CurrencyRebuild(engine, ["pc"]).run(lambda progress: steps.append(progress.pages_done), lambda: False)
    assert (result.end, result.hours, steps) == (RebuildEnd.DONE, 3, [1, 2, 3])
    assert hours.stored() == truth
    assert CurrencyRebuild(engine, ["xbox"]).run(print, lambda: False).end is RebuildEnd.NOTHING_TO_DO
    assert CurrencyRebuild(engine, ["pc"]).run(print, lambda: True).end is RebuildEnd.STOPPED
    assert hours.handle.rows(
        "SELECT count() FROM system.tables WHERE name LIKE 'rebuild%' AND database = currentDatabase()"
    ) == [(0,)]


def test_retention_counts_from_the_hour_and_is_for_ever_by_default(hours: Hours) -> None:
    said = apply_retention(hours.handle, raw_days=14, silver_days=90, cx_days=0)
    assert not any("silver_currency" in text for text in said)
    assert "raw_currency_exchange_hours: kept 14 days" in said
    assert apply_retention(hours.handle, raw_days=14, silver_days=90, cx_days=30) == [
        "silver_currency_markets: kept 30 days"
    ]
    assert apply_retention(hours.handle, raw_days=14, silver_days=90) == [], "who does not know leaves it alone"

"""The currency exchange, hour by hour, in virtual time: the real worker, chain and pacer against the simulator."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harvester.feeds.base import Feed
from harvester.feeds.currency_exchange import DOUBT_SECONDS, HOUR, CurrencyExchangeFeed, CurrencyHistoryFeed, hour_text
from harvester.lag import LagLevel
from harvester.model import Outcome, Queue
from harvester.queue_worker import QueueStopped
from harvester.simulator.exchange import CurrencyExchange, NotYet
from harvester.simulator.exchange_endpoint import EXCHANGE, ExchangeEndpoint
from harvester.simulator.faults import Override, ScriptedFaults, answer, changed, cut, edge, wrong_body
from harvester.snapshot import QueueState
from harvester.store.commit import Standing
from tests.worker_bench import Bench, policy_until_caught_up

QUEUE = Queue("cxapi", "pc")
BASE = "https://cdn.example/api"
NOW = int(Bench.START)
"""The start of an hour."""
DAY = 24 * HOUR


def bench(
    *,
    hours_kept: int = 100,
    not_yet: NotYet = NotYet.NOT_FOUND,
    faults: Sequence[Override | None] = (),
    exchange: CurrencyExchange | None = None,
    feed: Feed | None = None,
    once: bool = True,
    cursor: int | None = None,
    **options: Any,
) -> Bench:
    """A worker of the exchange. `cursor` is where its store stands; it begins a day back without one."""
    exchange = exchange or CurrencyExchange(oldest=NOW - hours_kept * HOUR, markets=10, not_yet=not_yet)
    standing = Standing(None if cursor is None else str(cursor), 1, (), ())
    return Bench(
        queue=QUEUE,
        feed=feed or CurrencyExchangeFeed(BASE),
        endpoints=[ExchangeEndpoint([exchange])],
        faults=ScriptedFaults(list(faults), on=EXCHANGE) if faults else None,
        policy=policy_until_caught_up(until_caught_up=once),
        standing=standing,
        **options,
    )


def hours(bench: Bench) -> list[int]:
    """The hours that were committed, in order."""
    return [int(spooled.page.change_id) for spooled in bench.store.committed]


def statuses(bench: Bench) -> list[int]:
    return [record.http_status for record in bench.records]


@pytest.mark.parametrize("not_yet", list(NotYet))
def test_the_last_day_is_fetched_and_the_end_seen_in_either_form(not_yet: NotYet) -> None:
    played = bench(not_yet=not_yet)
    played.run()
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))
    assert all(spooled.page.http_status == 200 for spooled in played.store.committed)
    assert played.meter.caught_up
    assert played.meter.behind_hours == 0
    assert [end[1:] for end in played.store.ends] == [(24, str(NOW))]
    assert {record.outcome for record in played.records} == {Outcome.OK}
    assert played.api.truth.broken == []
    assert played.api.truth.complaints == []


def test_each_new_hour_is_fetched_soon_after_it_is_over_and_nothing_else_is_asked() -> None:
    played = bench(once=False)
    lags: list[tuple[float, LagLevel]] = []

    async def watch(bench: Bench) -> None:
        await bench.clock.sleep(60)
        while True:
            snapshot = bench.meter.snapshot(bench.clock.now(), 20.0, 60.0)
            lags.append((snapshot.lag_seconds or 0.0, snapshot.level))
            await bench.clock.sleep(1.0)

    played.run(seconds=6 * HOUR + 120, beside=watch)
    assert hours(played) == list(range(NOW - DAY, NOW + 6 * HOUR, HOUR))
    late = [spooled.page.fetched_at - int(spooled.page.change_id) - HOUR for spooled in played.store.committed[24:]]
    assert all(5 <= seconds < 12 for seconds in late)
    assert len(set(late)) == len(late), "every look is spread by chance"
    assert statuses(played).count(404) == 1, "the clock knows that an hour is not over"
    assert {level for _, level in lags} == {LagLevel.OK}
    assert played.meter.wakes_at == NOW + 7 * HOUR + 5
    assert played.api.truth.complaints == []


def test_an_hour_that_is_late_is_looked_for_in_growing_pauses_and_told() -> None:
    class Late(CurrencyExchange):
        def answer(self, hour: int | None, now: float) -> tuple[int, bytes]:
            return super().answer(hour, now if now < NOW + HOUR else now - 1800)

    played = bench(exchange=Late(oldest=NOW - DAY, markets=10), once=False, cursor=NOW)
    levels: list[LagLevel] = []

    async def watch(bench: Bench) -> None:
        await bench.clock.sleep(HOUR + 70)
        for _ in range(1200):
            levels.append(bench.meter.snapshot(bench.clock.now(), 20.0, 60.0).level)
            await bench.clock.sleep(1.0)
        await bench.clock.sleep(HOUR - 1800)
        levels.append(bench.meter.snapshot(bench.clock.now(), 20.0, 60.0).level)

    played.run(seconds=2 * HOUR - 300, beside=watch)
    assert hours(played) == [NOW]
    asked = [record.requested_at for record in played.records][1:]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(asked) <= 10
    assert pauses[-1] > 20 * pauses[0]
    assert f"the hour {hour_text(NOW)} UTC should be there since" in played.said()
    assert levels == [LagLevel.RED] * 1200 + [LagLevel.OK], "no look in vain is progress"
    assert [end[0] for end in played.store.ends if end[0] > NOW + HOUR][:1] != [], "and then it is caught up again"
    assert all(not NOW + HOUR + 5 < at < NOW + HOUR + 1800 for at, *_ in played.store.ends), "late is no progress"


def test_a_cursor_off_the_retained_range_jumps_and_says_so() -> None:
    played = bench(hours_kept=5, cursor=NOW - 1000 * HOUR)
    played.run()
    oldest = NOW - 5 * HOUR
    assert hours(played) == [NOW - 1000 * HOUR, *range(oldest, NOW, HOUR)]
    jump = played.store.committed[0].page
    assert (jump.http_status, jump.next_change_id) == (404, str(oldest))
    assert statuses(played)[:4] == [404, 404, 404, 200], "asked again after minutes, then believed"
    assert jump.fetched_at - NOW > 2 * DOUBT_SECONDS
    assert f"nothing before {hour_text(oldest)}: 995 hours are left out" in played.said()
    assert "it is believed" in played.said()


@pytest.mark.parametrize(
    ("cursor", "words"),
    [(NOW - HOUR + 1, "is no hour"), (NOW + 5 * HOUR, "lies in the future")],
)
def test_a_saved_cursor_that_cannot_be_asked_with_stops_the_queue_before_it_asks(cursor: int, words: str) -> None:
    played = bench(cursor=cursor)
    with pytest.raises(QueueStopped, match=words):
        played.run()
    assert played.records == []


def test_a_refusal_by_the_api_is_no_end_of_the_stream_and_is_not_looped_on() -> None:
    body = b'{"error":{"code":1,"message":"Resource not found"}}'
    played = bench(faults=[answer(404, body, bare=True)] * 10)
    with pytest.raises(QueueStopped, match="refused the same request 3 times: HTTP 404: Resource not found") as stop:
        played.run()
    assert "POE_CX_BASE_URL" in stop.value.todo
    assert [record.outcome for record in played.records] == [Outcome.REFUSED] * 3
    asked = [record.requested_at for record in played.records]
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= 30
    assert not played.meter.caught_up


def test_a_403_of_the_cdn_is_about_no_oauth_client() -> None:
    played = bench(faults=[answer(403, b"<Error>AccessDenied</Error>", kind="application/xml", bare=True)] * 10)
    with pytest.raises(QueueStopped, match="refused the same request 3 times") as stop:
        played.run()
    assert not stop.value.misconfigured
    assert "OAuth" not in stop.value.todo


@pytest.mark.parametrize("status", [200, 404])
def test_html_is_waited_out_and_costs_no_hour(status: int) -> None:
    page = b"<html>maintenance</html>"
    fault = wrong_body(page) if status == 200 else edge(404, page)
    played = bench(faults=[None, *[fault] * 12])
    played.run()
    assert hours(played)[:24] == list(range(NOW - DAY, NOW, HOUR))
    asked = [record.requested_at for record in played.records][1:14]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses[-1] > 5 * pauses[0]
    assert ("no page" if status == 200 else "edge") in played.said()


def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    played = bench(faults=[cut(100), None, changed(lambda body: body[:500]), changed(lambda body: body[:501])])
    played.run()
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))
    assert all(spooled.page.body.endswith(b"]}") for spooled in played.store.committed)
    assert "broke off" in played.said()
    assert "the answer is no page" in played.said()


def test_the_same_broken_body_again_and_again_is_set_aside_and_the_queue_goes_on() -> None:
    played = bench(faults=[changed(lambda body: body[:500])] * 5)
    played.run()
    aside = [spooled.page for spooled in played.store.committed if spooled.page.rejected]
    assert [(page.change_id, len(page.body)) for page in aside] == [(str(NOW - DAY), 500)]
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))


def test_an_answer_that_changes_between_two_tries_is_told() -> None:
    def ahead(hour: int) -> Override:
        return wrong_body(b'{"next_change_id":%d,"markets":[]}' % (NOW + hour * HOUR))

    played = bench(faults=[ahead(2), ahead(3), None])
    played.run()
    assert f"the answer for the hour {hour_text(NOW - DAY)} UTC changed between two tries" in played.said()
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))


def test_an_hour_that_leads_back_is_no_page() -> None:
    back = wrong_body(b'{"next_change_id":%d,"markets":[]}' % (NOW - 2 * DAY))
    played = bench(faults=[back])
    played.run()
    assert "it leads back to" in played.said()
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))


def test_history_is_filled_back_in_time_down_to_the_wished_hour() -> None:
    feed = CurrencyHistoryFeed(BASE, NOW - DAY - HOUR, NOW - DAY - 10 * HOUR)
    played = bench(feed=feed)
    played.run()
    assert hours(played) == [NOW - DAY - back * HOUR for back in range(1, 11)]
    assert played.meter.caught_up
    assert played.meter.behind_hours == 0
    assert 404 not in statuses(played)


def test_history_ends_where_the_api_keeps_nothing_more() -> None:
    feed = CurrencyHistoryFeed(BASE, NOW - 2 * HOUR, NOW - 1000 * HOUR)
    played = bench(feed=feed, hours_kept=5)
    played.run()
    assert hours(played) == [NOW - back * HOUR for back in range(2, 7)]
    assert [spooled.page.http_status for spooled in played.store.committed] == [200] * 4 + [404]
    assert "done: the API keeps nothing before" in played.said()
    assert statuses(played).count(404) == 6, "each of the two is asked three times, minutes apart"


def test_realms_have_paths_of_their_own_and_no_token_goes_along() -> None:
    feed = CurrencyExchangeFeed(BASE + "/")
    urls = {realm: feed.request(Queue("cxapi", realm), "3600").url for realm in ("pc", "xbox", "sony", "poe2")}
    assert urls == {
        "pc": f"{BASE}/currency-exchange/3600",
        "xbox": f"{BASE}/currency-exchange/xbox/3600",
        "sony": f"{BASE}/currency-exchange/sony/3600",
        "poe2": f"{BASE}/currency-exchange/poe2/3600",
    }
    assert not feed.request(QUEUE, "3600").needs_token


def test_pausing_at_the_end_and_stopping_while_asleep_loses_nothing() -> None:
    played = bench(once=False)

    async def stop(bench: Bench) -> None:
        await bench.clock.sleep(600)
        bench.finish()
        await asyncio.sleep(0)

    played.run(seconds=DAY, beside=stop)
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))
    assert played.clock.now() < NOW + 700


def test_a_queue_that_sleeps_until_the_next_hour_is_paused_at_once_and_asks_nothing_until_it_is_resumed() -> None:
    played = bench(once=False)
    states: list[QueueState] = []

    async def pause(bench: Bench) -> None:
        await bench.clock.sleep(600)
        states.append(bench.meter.state)
        assert bench.worker is not None
        bench.worker.pause()
        await bench.clock.sleep(1)
        states.append(bench.meter.state)
        await bench.clock.sleep(2 * HOUR)
        states.append(bench.meter.state)
        bench.worker.resume()
        await bench.clock.sleep(60)
        states.append(bench.meter.state)

    played.run(seconds=3 * HOUR - 300, beside=pause)
    assert states == [QueueState.CAUGHT_UP, QueueState.PAUSED, QueueState.PAUSED, QueueState.CAUGHT_UP]
    assert hours(played) == list(range(NOW - DAY, NOW + 2 * HOUR, HOUR))
    late = [spooled.page.fetched_at - NOW for spooled in played.store.committed[24:]]
    assert min(late) > 600 + 2 * HOUR


def test_an_hour_that_will_never_come_does_not_hang_the_queue() -> None:
    played = bench(
        hours_kept=5, cursor=NOW - 6 * HOUR, once=False
    )  # the 404 names the next hour, as it would of one to come
    played.run(seconds=HOUR - 60)
    assert hours(played) == [], "not before it has been missing for an hour"
    assert statuses(played).count(404) < 20

    played = bench(hours_kept=5, cursor=NOW - 6 * HOUR, once=False)
    played.run(seconds=3 * HOUR)
    first = played.store.committed[0].page
    assert (first.change_id, first.http_status) == (str(NOW - 6 * HOUR), 404)
    assert hours(played)[:6] == list(range(NOW - 6 * HOUR, NOW, HOUR))
    assert "is missing, but the hour" in played.said()


def test_once_does_not_take_an_hour_that_is_missing_for_the_end_of_the_stream() -> None:
    played = bench(exchange=denying(lambda _asked, hour, _now: hour if hour == NOW - 5 * HOUR else None))
    played.run()
    assert hours(played)[: DAY // HOUR] == list(range(NOW - DAY, NOW, HOUR))
    assert played.meter.caught_up
    assert "is missing, but the hour" in played.said()


def test_a_jump_forwards_that_a_stale_answer_names_is_not_followed() -> None:
    def wrong(_asked: int, hour: int, now: float) -> int | None:
        return NOW - 2 * HOUR if hour == NOW - 20 * HOUR and now < NOW + 240 else None

    played = bench(exchange=denying(wrong))
    played.run()
    assert hours(played) == list(range(NOW - DAY, NOW, HOUR))
    assert all(spooled.page.http_status == 200 for spooled in played.store.committed)


def test_an_hour_that_is_published_with_its_successors_late_is_not_left_out() -> None:
    class Stalled(CurrencyExchange):
        def answer(self, hour: int | None, now: float) -> tuple[int, bytes]:
            return super().answer(hour, min(now, float(NOW)) if now < NOW + 5 * HOUR else now)

    played = bench(exchange=Stalled(oldest=NOW - DAY, markets=10), once=False, cursor=NOW)
    played.run(seconds=6 * HOUR + 60)
    assert hours(played) == list(range(NOW, NOW + 6 * HOUR, HOUR))
    assert all(spooled.page.http_status == 200 for spooled in played.store.committed)


class Denying(CurrencyExchange):
    """Answers some requests for hours with a 404, as a stale cache does."""

    def deny(self, wrong: Callable[[int, int, float], int | None]) -> Denying:
        """`wrong` gets the number of the request, the hour and the time, and says what the 404 names, if it is one."""
        self.wrong, self.asked = wrong, 0
        return self

    def answer(self, hour: int | None, now: float) -> tuple[int, bytes]:
        self.asked += 1
        named = None if hour is None else self.wrong(self.asked, hour, now)
        if named is None:
            return super().answer(hour, now)
        return 404, json.dumps({"next_change_id": named, "markets": []}).encode()


def denying(wrong: Callable[[int, int, float], int | None]) -> Denying:
    return Denying(oldest=NOW - 1000 * HOUR, markets=10).deny(wrong)


def history(down_to: int = 40) -> CurrencyHistoryFeed:
    return CurrencyHistoryFeed(BASE, NOW - 10 * HOUR, NOW - down_to * HOUR)


def test_an_hour_that_is_denied_for_minutes_is_not_left_out_of_a_backfill() -> None:
    stale = NOW - 20 * HOUR
    exchange = denying(lambda _asked, hour, now: hour if hour == stale and now < NOW + 1500 else None)
    played = bench(exchange=exchange, once=False)
    played.run(seconds=2 * HOUR)
    assert hours(played) == list(range(NOW - DAY, NOW + 2 * HOUR, HOUR))[: len(hours(played))]
    assert len(hours(played)) >= 25
    assert all(spooled.page.http_status == 200 for spooled in played.store.committed)


def test_the_hour_behind_a_missing_one_is_asked_for_once_an_hour() -> None:
    exchange = denying(lambda _asked, hour, _now: hour if NOW - 20 * HOUR <= hour < NOW - 18 * HOUR else None)
    played = bench(exchange=exchange, once=False)
    played.run(seconds=12 * HOUR)
    behind = [record for record in played.records if record.change_id == str(NOW - 19 * HOUR)]
    assert 8 <= len(behind) <= 12


def test_history_loses_no_hour_to_answers_that_are_wrong_for_minutes() -> None:
    played = bench(
        exchange=denying(lambda asked, hour, _now: hour + HOUR if asked in (5, 6) else None), feed=history(), once=False
    )
    played.run(seconds=2 * HOUR)
    assert hours(played) == [NOW - back * HOUR for back in range(10, 41)]
    assert all(spooled.page.http_status == 200 for spooled in played.store.committed)


def test_one_answer_does_not_end_a_history() -> None:
    played = bench(
        exchange=denying(lambda asked, _hour, _now: NOW - 2 * HOUR if asked in (5, 6) else None),
        feed=history(),
        once=False,
    )
    played.run(seconds=2 * HOUR)
    assert hours(played) == [NOW - back * HOUR for back in range(10, 41)]
    assert "doubtful answer: the API keeps nothing before" in played.said()
    asked = [record.requested_at for record in played.records][4:7]
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= 300


def test_a_history_of_hours_that_the_api_lacks_is_asked_for_slowly() -> None:
    exchange = denying(lambda _asked, hour, _now: hour + HOUR)
    played = bench(exchange=exchange, feed=history(900), once=False)
    played.run(seconds=DAY)
    assert 10 < statuses(played).count(404) < 80
    assert "3 pages one after the other are not there" in played.said()

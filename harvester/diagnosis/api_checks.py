"""What asking tells: the credentials, by one token request; the currency exchange, by the headers of one hour; and this
machine's clock, by the `Date` of an answer."""

from __future__ import annotations

import httpx

from harvester.api.access import ApiAccess
from harvester.api.errors import ApiError, CredentialsRefused, TokenUnavailable
from harvester.api.oauth import TokenSource
from harvester.clock import Clock
from harvester.diagnosis.finding import Fault, Finding, failed, note, ok, warning
from harvester.events import EventLog
from harvester.feeds.currency_exchange import FEED_NAME, HOUR, CurrencyExchangeFeed, start_of_hour
from harvester.feeds.registry import FEEDS, make_feed
from harvester.model import Queue
from harvester.settings import Settings, SettingsError

CREDENTIALS, EXCHANGE, CLOCK = "credentials", "exchange", "clock"
CLOCK_FINE_SECONDS = 5.0
"""A `Date` is whole seconds, and an answer takes its time."""
CLOCK_WRONG_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
"""A restriction of the token endpoint that lasts longer is not waited out."""
_SYNCHRONISE = "Synchronise the clock (timedatectl set-ntp true, or your machine's own way)."


async def api_findings(settings: Settings, transport: httpx.AsyncBaseTransport | None, clock: Clock) -> list[Finding]:
    """One token request where a client is configured, and one hour of the exchange where that is harvested."""
    async with ApiAccess(
        settings, transport=transport, clock=clock, record=lambda _: None, events=EventLog(), writes=False
    ) as access:
        found = [_no_client(settings)]
        skew = None
        if access.tokens is not None:
            found = [await _credentials(settings, access.tokens)]
            skew = access.tokens.date_skew
        queue = next((queue for queue in settings.queues if queue.feed == FEED_NAME), None)
        if queue is not None:
            finding, of_exchange = await _exchange(settings, access, queue, clock.now())
            found.append(finding)
            skew = of_exchange if skew is None else skew
        return [*found, _clock_finding(skew)]


async def _credentials(settings: Settings, tokens: TokenSource) -> Finding:
    restricted = tokens.restricted_for()
    if restricted > PATIENCE_SECONDS:
        words = f"not asked: the token endpoint wants no request for another {restricted:.0f} s"
        return note(CREDENTIALS, words, "Look again after that.")
    try:
        await tokens.token()
    except (CredentialsRefused, SettingsError) as error:
        return failed(CREDENTIALS, str(error), "Do what it says, then look again.", Fault.CONFIGURATION)
    except TokenUnavailable as error:
        wait = f" Not before {error.retry_after:.0f} s have passed." if error.retry_after else ""
        todo = f"Check the network and POE_AUTH_BASE_URL, or wait: it may be down.{wait}"
        return failed(CREDENTIALS, str(error), todo)
    return ok(CREDENTIALS, f"client {settings.oauth_client_id} got a token for {settings.oauth_scope}")


async def _exchange(settings: Settings, access: ApiAccess, queue: Queue, now: float) -> tuple[Finding, float | None]:
    """Whether the currency exchange answers, and by how much its clock is ahead; its body is not waited for."""
    feed = CurrencyExchangeFeed(settings.cx_base_url)
    request = feed.request(queue, str(start_of_hour(now) - 2 * HOUR))
    restricted = access.client.restricted_for(request)
    if restricted > PATIENCE_SECONDS:
        words = f"not asked: the currency exchange wants no request for another {restricted:.0f} s"
        return note(EXCHANGE, words, "Look again after that."), None
    try:
        async with access.client.exchange(request, accept_statuses=feed.accept_statuses) as answer:
            return ok(EXCHANGE, f"{settings.cx_base_url} answers"), answer.date_skew
    except ApiError as error:
        return failed(EXCHANGE, str(error), "Check the network and POE_CX_BASE_URL, or wait: it may be down."), None


def _no_client(settings: Settings) -> Finding:
    feeds = sorted({queue.feed for queue in settings.queues if queue.feed in FEEDS})
    needing = [feed for feed in feeds if make_feed(feed, settings).needs_token]
    if not needing:
        return ok(CREDENTIALS, "none are configured, and the feeds chosen need none")
    todo = (
        "Set POE_OAUTH_CLIENT_ID, POE_OAUTH_CLIENT_SECRET (or POE_OAUTH_CLIENT_SECRET_FILE) and POE_CONTACT; "
        "see .env.example."
    )
    found = f"no OAuth client is configured, and {', '.join(needing)} needs one"
    if needing == feeds:
        return failed(CREDENTIALS, found, todo, Fault.CONFIGURATION)
    return warning(CREDENTIALS, found, todo)


def _clock_finding(skew: float | None) -> Finding:
    if skew is None:
        return note(CLOCK, "not compared: no answer told the time")
    if abs(skew) <= CLOCK_FINE_SECONDS:
        return ok(CLOCK, f"within {CLOCK_FINE_SECONDS:.0f} s of the server's")
    words = f"this machine is {abs(skew):,.0f} s {'behind' if skew > 0 else 'ahead of'} the server"
    if abs(skew) <= CLOCK_WRONG_SECONDS:
        return warning(CLOCK, words, _SYNCHRONISE)
    return failed(CLOCK, f"{words}: times are stored wrong, and a restriction may be forgotten early", _SYNCHRONISE)

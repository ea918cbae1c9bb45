"""The operator's credentials, by one token request, and this machine's clock, by the `Date` of the answer."""

from __future__ import annotations

import httpx

from harvester.api.access import ApiAccess
from harvester.api.errors import CredentialsRefused, TokenUnavailable
from harvester.clock import Clock
from harvester.diagnosis.finding import Fault, Finding, failed, note, ok, warning
from harvester.events import EventLog
from harvester.feeds.registry import FEEDS, make_feed
from harvester.settings import Settings, SettingsError

CREDENTIALS, CLOCK = "credentials", "clock"
CLOCK_FINE_SECONDS = 5.0
"""A `Date` is whole seconds, and an answer takes its time."""
CLOCK_WRONG_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
"""A restriction of the token endpoint that lasts longer is not waited out."""
_SYNCHRONISE = "Synchronise the clock (timedatectl set-ntp true, or your machine's own way)."


async def api_findings(settings: Settings, transport: httpx.AsyncBaseTransport | None, clock: Clock) -> list[Finding]:
    """One token request where a client is configured; none without."""
    if not settings.has_oauth_client:
        return [_no_client(settings), note(CLOCK, "not compared: without an OAuth client nobody is asked for the time")]
    async with ApiAccess(
        settings, transport=transport, clock=clock, record=lambda _: None, events=EventLog(), writes=False
    ) as access:
        tokens = access.tokens
        assert tokens is not None  # noqa: S101 - a client is configured
        restricted = tokens.restricted_for()
        if restricted > PATIENCE_SECONDS:
            words = f"not asked: the token endpoint wants no request for another {restricted:.0f} s"
            return [note(CREDENTIALS, words, "Look again after that."), note(CLOCK, "not compared: nobody was asked")]
        try:
            await tokens.token()
        except (CredentialsRefused, SettingsError) as error:
            found = failed(CREDENTIALS, str(error), "Do what it says, then look again.", Fault.CONFIGURATION)
        except TokenUnavailable as error:
            wait = f" Not before {error.retry_after:.0f} s have passed." if error.retry_after else ""
            found = failed(
                CREDENTIALS, str(error), f"Check the network and POE_AUTH_BASE_URL, or wait: it may be down.{wait}"
            )
        else:
            found = ok(CREDENTIALS, f"client {settings.oauth_client_id} got a token for {settings.oauth_scope}")
        return [found, _clock_finding(tokens.date_skew)]


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

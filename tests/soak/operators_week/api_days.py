"""What can be wrong with the API."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from harvester.simulator.faults import Override, answer, refused
from tests.soak.operators_week.day import APP, Day
from tests.soak.operators_week.runbook import section


def api_down(day: Day) -> None:
    """503 on every request, then no answer at all; both heal by themselves."""
    book, switch = section("The API is down"), day.market.switch
    day.begin()
    day.inject("the API answers 503", lambda: switch.set(answer(503)))
    day.recognise(book.says("HTTP 503"), APP.says("! RETRYING"))
    day.recognise(APP.says("!! STALLED"))
    day.cure(book.says("Nothing to do"), lambda: switch.set(None))
    day.desk.ask(book.query(), "server_error", "503")
    day.inject("the API breaks every connection", lambda: switch.set(refused()))
    day.recognise(book.says("no answer"))
    day.recognise(APP.says("! RETRYING"))
    day.cure(book.says("it is tried without end"), lambda: switch.set(None))
    day.desk.ask(book.query(), "network_error")
    day.count()


def rate_limited(day: Day) -> None:
    """Somebody else asks from the same address: 429s, and the query that shows whose they are."""
    book, neighbour = section("429: rate limited"), day.market.neighbour
    day.begin()
    day.inject("somebody else uses the address", lambda: setattr(neighbour, "busy", True))
    day.recognise(book.says("rate limited"))
    day.recognise(APP.says("! RESTRICTED"), book.says("Retry-After"))
    shown = day.desk.ask(book.query(), "public-stash-tabs-request-limit-pc")
    refusals = re.findall(r"Z +public-stash-tabs-request-limit-pc +Ip +5 +5 +(\d+) +(\d+) +(\d+) ", shown)
    assert refusals, f"the query does not tell the others' share:\n{shown}"
    assert all(int(others) > 0 for _, _, others in refusals), shown
    day.cure(book.says("one harvest per address and client"), lambda: setattr(neighbour, "busy", False))
    day.count()


_TELL = """import os, pathlib
with pathlib.Path(__file__).with_name("told").open("a") as told:
    told.write(os.environ["ALERT_LEVEL"] + "\\n")
"""


def lag_alarm(day: Day) -> None:
    """The API is slow: amber, red, and both told by the alert command, as is the end of it."""
    book, alerts = section("Amber and red"), section("Alerts")
    tell = Path(day.desk.home.directory) / "tell.py"
    tell.write_text(_TELL)
    alerts.says("POE_ALERT_COMMAND")
    day.desk.home.environ["POE_ALERT_COMMAND"] = f"{sys.executable} {tell}"
    day.begin()
    day.inject("the API takes 18 s for an answer", lambda: day.market.switch.set(Override("slow", delay=18.0)))
    day.recognise(APP.says("! AMBER"))
    day.recognise(APP.says("!! RED"), book.says("!! BEHIND"))
    day.recognise(book.says("no answer of the API for 15 s"))
    day.cure(book.says("it goes on with the answer"), lambda: day.market.switch.set(None))
    wanted = [alerts.says(level) for level in ("amber", "red", "recovered")]
    told = tell.with_name("told")
    day.desk.until(lambda _: len(told.read_text().split()) >= len(wanted), "the last alert")
    assert told.read_text().split() == wanted
    day.count()


def credentials(day: Day) -> None:
    """The client's secret is replaced by another; the file gets the new one, and the harvest is started again."""
    book, tokens = section("No credentials, wrong or revoked credentials"), day.market.api.tokens
    secret = Path(day.desk.home.directory) / "secret"
    secret.write_text(tokens.client_secret)
    del day.desk.home.environ["POE_OAUTH_CLIENT_SECRET"]
    day.desk.home.environ["POE_OAUTH_CLIENT_SECRET_FILE"] = str(secret)
    day.begin()

    def revoke() -> None:
        tokens.client_secret = "another"
        tokens.revoke()

    day.inject("the secret is replaced and the token revoked", revoke)
    day.recognise(book.says("The OAuth client was refused"), APP.says("!! FAILED"))
    day.recognise("POE_OAUTH_CLIENT_SECRET(_FILE)", book.says("then start again"))

    def replace() -> None:
        secret.write_text("another")
        day.desk.press(b" ")

    day.cure(book.says("replace the secret, then start again (space in the app"), replace)
    day.count()


def settings_file(day: Day) -> None:
    """The secret stands in `.env`, and is replaced: mended there, it counts from the next start on."""
    book, desk, tokens = section("No credentials, wrong or revoked credentials"), day.desk, day.market.api.tokens
    file = desk.home.directory / ".env"
    file.write_text(f"POE_OAUTH_CLIENT_SECRET={desk.home.environ.pop('POE_OAUTH_CLIENT_SECRET')}\n")
    file.chmod(0o600)
    day.begin()
    desk.leave()
    tokens.client_secret = "another"
    day.inject("the secret was replaced before the start", desk.open)
    day.recognise(book.says("The OAuth client was refused"), APP.says("!! FAILED"))
    desk.leave()
    file.write_text("POE_OAUTH_CLIENT_SECRET=another\n")
    day.cure(book.says("what the message names"), desk.open)
    day.count()

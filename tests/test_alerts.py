"""Alerts: what is worth one, how often at most, and that a hook that hangs or fails disturbs nothing."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester import alert_hooks
from harvester.alert_hooks import Alerting, CommandHook, HookFailed, WebhookHook, alerting
from harvester.alerts import Alert, AlertWatch
from harvester.settings import SettingsError, load_settings
from harvester.snapshot import QueueState, Snapshot, Trouble
from tests.snapshot_bench import NOW, full_snapshot, queue_snapshot

AMBER, RED = 30.0, 90.0
ALERT = Alert("psapi:pc", "red", "ok", NOW, 75.0, "the server does not answer", "host, process 7")


def seen(lag: float, at: float = 0.0, **changes: object) -> Snapshot:
    """One queue with this lag, `at` seconds later."""
    queue = replace(queue_snapshot(taken_at=NOW + at, lag=lag), **changes)  # type: ignore[arg-type]
    return replace(full_snapshot(), queues=(queue,), taken_at=NOW + at, amber_seconds=20.0, red_seconds=60.0)


def told(watch: AlertWatch, *looks: tuple[float, float]) -> list[tuple[float, str, str]]:
    """What is told at which look: (seconds, level, level before)."""
    return [(at, alert.level, alert.before) for at, lag in looks for alert in watch.look(seen(lag, at))]


def test_a_turn_for_the_worse_is_told_at_once_and_a_recovery_when_it_has_been_quiet() -> None:
    looks = [(0.0, 1.0), (10.0, AMBER), (11.0, AMBER), (20.0, RED), (30.0, 1.0), (330.0, 1.0), (400.0, 1.0)]

    assert told(AlertWatch(300), *looks) == [
        (10.0, "amber", "ok"),
        (20.0, "red", "amber"),
        (330.0, "recovered", "red"),
    ]


@given(st.lists(st.sampled_from([1.0, AMBER, RED]), min_size=1, max_size=60), st.sampled_from([10, 60, 300]))
def test_a_queue_that_flickers_tells_three_alerts_an_interval_at_most_and_ends_with_the_truth(
    lags: list[float], interval: int
) -> None:
    watch = AlertWatch(interval)
    looks = [(10.0 * n, lag) for n, lag in enumerate(lags)]
    alerts = told(watch, *looks)

    times = [at for at, _, _ in alerts]
    assert all(sum(at <= other < at + interval for other in times) <= 3 for at in times)
    settled = told(watch, (looks[-1][0] + interval, lags[-1]))
    last = [*alerts, *settled][-1:]
    now = {1.0: "recovered", AMBER: "amber", RED: "red"}[lags[-1]]
    assert [level for _, level, _ in last] in ([now], [] if now == "recovered" else [now])


def test_a_stop_that_somebody_wanted_is_none_and_one_that_nobody_wanted_is_red() -> None:
    watch = AlertWatch(300)
    assert watch.look(seen(RED, state=QueueState.PAUSED)) == []
    (alert,) = watch.look(
        seen(1.0, 1, state=QueueState.FAILED, trouble=Trouble("refused", NOW - 60, 3, None, "Mend it"))
    )
    assert (alert.level, alert.queue_key) == ("red", "psapi:pc")
    assert "refused" in alert.text()
    assert "Mend it" in alert.what


def test_a_harvest_in_which_nothing_has_moved_yet_is_judged_from_its_start() -> None:
    nothing = replace(seen(1.0, lag_seconds=None), started_at=NOW - 61)
    assert [alert.level for alert in AlertWatch(300).look(nothing)] == ["red"]
    assert AlertWatch(300).look(replace(nothing, started_at=NOW - 5)) == []


# Hooks


def script(directory: Path, text: str) -> list[str]:
    path = directory / "hook.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_a_command_gets_the_alert_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POE_OAUTH_CLIENT_SECRET", "hush")
    out = tmp_path / "out.json"
    words = script(
        tmp_path,
        f"import json, os, sys\njson.dump([json.load(sys.stdin), dict(os.environ)], open({str(out)!r}, 'w'))\n",
    )
    CommandHook(words).deliver(ALERT, threading.Event())

    fields, environ = json.loads(out.read_text())
    assert fields == ALERT.fields()
    assert (fields["level"], fields["queue"], fields["lag_seconds"]) == ("red", "psapi:pc", 75.0)
    assert environ["ALERT_TEXT"] == fields["text"] == fields["content"]
    assert "hush" not in environ.values()


@pytest.mark.parametrize(
    ("text", "why"),
    [("import sys; print('no route', file=sys.stderr); sys.exit(3)", "ended with 3: no route"), ("", "")],
)
def test_a_command_that_fails_says_why(tmp_path: Path, text: str, why: str) -> None:
    words = script(tmp_path, text) if why else ["/nowhere/at-all"]
    with pytest.raises(HookFailed, match=why or "No such file"):
        CommandHook(words).deliver(ALERT, threading.Event())


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_hooks, "COMMAND_SECONDS", 0.2)
    with pytest.raises(HookFailed, match="took more than"):
        CommandHook(script(tmp_path, "import time; time.sleep(60)")).deliver(ALERT, threading.Event())


def test_a_webhook_posts_json_and_never_shows_its_address() -> None:
    posted: list[tuple[str, object]] = []

    def post(url: str, body: bytes) -> int:
        posted.append((url, json.loads(body)))
        return 200 if len(posted) == 1 else 403

    hook = WebhookHook("https://hooks.example/secret", post)
    hook.deliver(ALERT, threading.Event())
    assert posted == [("https://hooks.example/secret", ALERT.fields())]
    with pytest.raises(HookFailed) as failed:
        hook.deliver(ALERT, threading.Event())
    assert str(failed.value) == "HTTP 403"


@dataclass
class Recording:
    """A hook that fails while it is told to."""

    name: str = "hook"
    fails: bool = False
    tries: int = 0
    arrived: list[Alert] = field(default_factory=list)

    def deliver(self, alert: Alert, leave: threading.Event) -> None:
        del leave
        self.tries += 1
        if self.fails:
            raise HookFailed("no route")
        self.arrived.append(alert)


def desk(hook: Recording, snapshots: Callable[[], Snapshot], said: list[str]) -> Alerting:
    return Alerting([hook], AlertWatch(0.0), snapshots, said.append, pause=lambda _: None)


def test_a_hook_that_fails_is_tried_again_and_told_once_until_it_works_again() -> None:
    hook, said = Recording(fails=True), list[str]()
    lags = iter([RED, 1.0, RED, 1.0])
    seconds = iter(range(10))
    desk_ = desk(hook, lambda: seen(next(lags), next(seconds)), said)

    desk_.look()
    desk_.look()
    assert (hook.tries, len(said)) == (6, 1)
    assert "did not arrive" in said[0]
    assert "no route" in said[0]
    hook.fails = False
    desk_.look()
    assert [alert.level for alert in hook.arrived] == ["red"]
    hook.fails = True
    desk_.look()
    assert len(said) == 2


def test_leaving_does_not_wait_for_a_hook_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_hooks, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(alert_hooks, "LEAVING_SECONDS", 0.05)
    entered, free = threading.Event(), threading.Event()

    class Hanging(Recording):
        def deliver(self, alert: Alert, leave: threading.Event) -> None:
            entered.set()
            free.wait()

    began = time.monotonic()
    with alerting([Hanging()], 300, lambda: seen(RED), lambda _: None):
        assert entered.wait(30)
    assert not free.is_set()
    free.set()
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("POE_ALERT_COMMAND", "tell 'me"),
        ("POE_ALERT_WEBHOOK", "http://chat.example/hook"),
        ("POE_ALERT_WEBHOOK", "chat.example"),
        ("POE_ALERT_INTERVAL", "soon"),
    ],
)
def test_settings_of_alerts_are_checked_at_the_door(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_settings({variable: text}, None)


def test_the_address_of_a_webhook_is_a_secret() -> None:
    settings = load_settings({"POE_ALERT_WEBHOOK": "https://hooks.example/services/T0/hushhush?thread=1"}, None)
    assert settings.alert_webhook.get_secret_value().endswith("hushhush?thread=1")
    assert "hushhush" not in repr(settings)

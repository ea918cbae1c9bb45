"""Where alerts go: a command of the operator's, a webhook. They run on a thread of their own and delay nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from harvester.alerts import Alert, AlertWatch
from harvester.snapshot import Snapshot

LOOK_EVERY_SECONDS = 1.0
COMMAND_SECONDS = 30.0
"""Then a command is ended."""
WEBHOOK_SECONDS = 10.0
TRIES = 3
RETRY_SECONDS = 5.0
LEAVING_SECONDS = 1.0
"""How long leaving waits for an alert that is on its way."""


class HookFailed(Exception):  # noqa: N818
    """An alert did not arrive; the text says why and holds no secret."""


class Hook(Protocol):
    """A way by which alerts reach people."""

    name: str

    def deliver(self, alert: Alert, leave: threading.Event) -> None:
        """Pass an alert on; gives up early once `leave` is set.

        Raises:
            HookFailed: it did not arrive.
        """


class CommandHook:
    """Runs a command, without a shell: the alert as JSON on its standard input, and in `ALERT_…` variables."""

    name = "POE_ALERT_COMMAND"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)

    def deliver(self, alert: Alert, leave: threading.Event) -> None:
        told = {"TEXT": alert.text(), "LEVEL": alert.level, "QUEUE": alert.queue_key, "CAUSE": alert.what}
        # The command has no use for the harvest's own secrets.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("POE_", "CH_"))}
        environ = kept | {f"ALERT_{name}": value for name, value in told.items()}
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own command
                self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ
            )
        except OSError as error:
            raise HookFailed(f"{self._words[0]}: {error.strerror or error}") from error
        with process:
            try:
                said = self._ended(process, json.dumps(alert.fields()).encode() + b"\n", leave)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise HookFailed(f"{self._words[0]} ended with {process.returncode}{': ' + last[0] if last else ''}")

    def _ended(self, process: subprocess.Popen[bytes], alert: bytes, leave: threading.Event) -> bytes:
        waited = 0.0
        given: bytes | None = alert
        while True:
            try:
                return process.communicate(given, timeout=0.2)[1]
            except subprocess.TimeoutExpired:
                given = None
                waited += 0.2
                if waited >= COMMAND_SECONDS or leave.is_set():
                    why = "the program is leaving" if leave.is_set() else f"it took more than {COMMAND_SECONDS:.0f} s"
                    raise HookFailed(f"{self._words[0]} was ended: {why}") from None


class WebhookHook:
    """Posts the alert as JSON. The address is a secret: whoever knows it can post."""

    name = "POE_ALERT_WEBHOOK"

    def __init__(self, url: str, post: Callable[[str, bytes], int]) -> None:
        """`post` sends a JSON body and returns the HTTP status; failures are `OSError`."""
        self._url = url
        self._post = post

    def deliver(self, alert: Alert, leave: threading.Event) -> None:  # noqa: ARG002 - bounded by its own timeout
        try:
            status = self._post(self._url, json.dumps(alert.fields()).encode())
        except OSError as error:
            raise HookFailed(f"no answer: {error.strerror or type(error).__name__}") from error
        if status >= 400:
            raise HookFailed(f"HTTP {status}")


def post_json(url: str, body: bytes) -> int:
    """POST over the network."""
    import httpx

    try:
        answer = httpx.post(url, content=body, headers={"Content-Type": "application/json"}, timeout=WEBHOOK_SECONDS)
    except httpx.HTTPError as error:
        raise OSError(0, type(error).__name__) from error
    return answer.status_code


def hooks_of(command: str, webhook: str) -> list[Hook]:
    """The hooks that settings name."""
    hooks: list[Hook] = []
    if command:
        hooks.append(CommandHook(shlex.split(command)))
    if webhook:
        hooks.append(WebhookHook(webhook, post_json))
    return hooks


class Alerting:
    """Looks at the harvest once a second and passes on what has changed."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        watch: AlertWatch,
        snapshot: Callable[[], Snapshot],
        tell: Callable[[str], None],
        *,
        leave: threading.Event | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """`tell` hears of an alert that did not arrive. `pause` waits, and ends early once `leave` is set."""
        self._hooks = hooks
        self._watch = watch
        self._snapshot = snapshot
        self._tell = tell
        self._leave = leave or threading.Event()
        self._pause = pause or self._leave.wait
        self._failing: set[str] = set()

    def run(self) -> None:
        """Until told to leave; what changed last is still told then."""
        while not self._leave.is_set():
            self._pause(LOOK_EVERY_SECONDS)
            self.look()

    def look(self) -> None:
        """Pass on what has changed since the last look."""
        for alert in self._watch.look(self._snapshot()):
            for hook in self._hooks:
                self._deliver(hook, alert)

    def _deliver(self, hook: Hook, alert: Alert) -> None:
        why = ""
        for attempt in range(TRIES):
            if attempt:
                if self._leave.is_set():
                    break
                self._pause(RETRY_SECONDS)
            try:
                hook.deliver(alert, self._leave)
            except HookFailed as failed:
                why = str(failed)
                continue
            self._failing.discard(hook.name)
            return
        if hook.name not in self._failing:  # said once, until one arrives again
            self._failing.add(hook.name)
            self._tell(f"an alert did not arrive ({alert.text()}): {hook.name}: {why}")

    def ask_to_leave(self) -> None:
        """Come to an end soon."""
        self._leave.set()


@contextlib.contextmanager
def alerting(
    hooks: Sequence[Hook], interval: float, snapshot: Callable[[], Snapshot], tell: Callable[[str], None]
) -> Iterator[None]:
    """Alert while the block runs; without hooks not at all."""
    if not hooks:
        yield
        return
    desk = Alerting(hooks, AlertWatch(interval), snapshot, tell)
    thread = threading.Thread(target=desk.run, name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        desk.ask_to_leave()
        thread.join(LEAVING_SECONDS)

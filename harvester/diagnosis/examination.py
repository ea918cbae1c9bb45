"""All checks in their order, each safe from the faults of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from harvester.clock import Clock
from harvester.diagnosis.api_checks import api_findings
from harvester.diagnosis.disk import Disk
from harvester.diagnosis.disk_checks import disk_findings
from harvester.diagnosis.finding import Finding, failed
from harvester.diagnosis.limit_checks import limit_findings
from harvester.diagnosis.queue_checks import holder_of_queue, queue_findings
from harvester.diagnosis.settings_checks import settings_findings
from harvester.diagnosis.store_checks import StoreView, store_view
from harvester.feeds.registry import FEEDS, can_run
from harvester.settings import Settings
from harvester.store.engine import Engine


def examine(
    settings: Settings,
    engine: Engine,
    *,
    transport: Callable[[], httpx.AsyncBaseTransport] | None,
    clock: Clock,
    disk: Disk,
    command: str,
    run_async: Callable[..., list[Finding]],
) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """What is looked at, in words, and the look itself, in turn. `run_async` runs a coroutine to its end."""
    queues = tuple(queue for queue in settings.queues if queue.feed in FEEDS)
    runnable = tuple(queue for queue in queues if can_run(settings, queue)) or queues
    views: list[StoreView] = []

    def store() -> list[Finding]:
        holders = {holder_of_queue(settings, queue) for queue in queues}
        views.append(store_view(engine, queues, harvest_of=holders.__contains__, command=command))
        return list(views[0].findings)

    def ask() -> list[Finding]:
        return run_async(api_findings(settings, transport() if transport else None, clock))

    yield "settings", lambda: settings_findings(settings)
    yield "API", _safely("credentials", ask)
    yield "disk", _safely("disk", lambda: disk_findings(settings, engine, disk))
    yield "store", _safely("store", store)
    yield "limits", _safely("limits", lambda: limit_findings(settings, clock.now()))
    for queue in runnable:
        view = views[0] if views else StoreView((), False, {})
        yield f"queue {queue}", _safely("spool", lambda queue=queue, view=view: queue_findings(settings, queue, view))  # type: ignore[misc]


def _safely(check: str, look: Callable[[], list[Finding]]) -> Callable[[], list[Finding]]:
    """A file that cannot be read is a finding too."""

    def looked() -> list[Finding]:
        try:
            return look()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return [failed(check, f"{where}{error.strerror or error}", "Mend the rights of this file or directory.")]

    return looked

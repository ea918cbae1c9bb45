"""The lines of a headless harvest for machines: one object a line, whatever strangers wrote."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.commands.fill_progress import Filled
from harvester.commands.harvest_display import make_display
from harvester.commands.json_lines import JsonLines
from harvester.events import Event, EventLog, Level
from harvester.lag import LagLevel
from harvester.settings import demo_settings
from harvester.snapshot import Trouble
from harvester.supervisor import Goal
from tests.snapshot_bench import NOW, full_snapshot, queue_snapshot

HOSTILE = 'a "quoted"\nline \x1b[31m\x00 \u202e'


def written(*events: Event) -> list[dict[str, object]]:
    out = io.StringIO()
    lines = JsonLines(out)
    for event in events:
        lines.event(event)
    assert out.getvalue().isascii()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_an_object_with_what_there_is_to_say() -> None:
    short = Event(NOW, Level.INFO, "", "begun")
    long = Event(NOW + 1.5, Level.WARNING, "psapi:pc", HOSTILE, "try 2", "look", NOW)

    assert written(short, long) == [
        {"at": "2026-01-01T00:00:00.000Z", "kind": "event", "level": "info", "what": "begun"},
        {
            "at": "2026-01-01T00:00:01.500Z",
            "kind": "event",
            "level": "warning",
            "queue": "psapi:pc",
            "what": HOSTILE,
            "since": "2026-01-01T00:00:00.000Z",
            "then": "try 2",
            "todo": "look",
        },
    ]


def test_a_queue_is_an_object_with_its_figures() -> None:
    queue = replace(queue_snapshot(), level=LagLevel.RED, trouble=Trouble("away", NOW, 2, None))
    out = io.StringIO()

    JsonLines(out).queue(queue, full_snapshot(), Filled(3, 10, None))

    said = json.loads(out.getvalue())
    assert (said["kind"], said["level"], said["queue"], said["state"]) == ("queue", "error", "psapi:pc", "harvesting")
    assert (said["pages"], said["items"], said["lag_seconds"]) == (4019, 7_600_000, 3.0)
    assert said["filled"] == {"done": 3, "total": 10}
    assert said["trouble"].startswith("away")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("human", io.StringIO, False),
    ],
)
def test_people_read_on_terminals_and_machines_elsewhere(
    log_format: str, stream: type[io.StringIO], is_json: bool
) -> None:
    err, events = stream(), EventLog()
    with make_display(err, full_snapshot, events, Goal(), log_format):
        events.add(Event(NOW, Level.INFO, "", "begun"))

    assert ('{"at"' in err.getvalue()) is is_json
    assert "begun" in err.getvalue()


@pytest.mark.parametrize(("given", "used"), [({}, "human"), ({"POE_LOG_FORMAT": "json"}, "json")])
def test_a_demo_speaks_to_people(given: dict[str, str], used: str, tmp_path: Path) -> None:
    assert demo_settings(tmp_path, "http://127.0.0.1:1", environ=given, env_file=None).log_format == used

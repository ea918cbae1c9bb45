"""`poe-ledger --headless doctor`: looks everything over, changes nothing, and says what to mend.

Exit codes: 0 nothing has failed, 1 a check has failed, 2 the settings or the credentials are at fault, 3 the schema is.
"""

from __future__ import annotations

import asyncio
import json as json_format
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import httpx
from rich.console import Console

from harvester.clock import Clock, SystemClock
from harvester.commands.exit_codes import DONE, FAILED, MISUSED, SCHEMA_NOT_READY
from harvester.commands.hints import HEADLESS
from harvester.commands.output import print_table, printable, say
from harvester.commands.store_access import engine_of
from harvester.diagnosis.disk import Disk, RealDisk
from harvester.diagnosis.examination import examine
from harvester.diagnosis.finding import Fault, Finding, Verdict
from harvester.diagnosis.settings_checks import unusable_settings
from harvester.settings import Settings, SettingsError

# A word or sign always stands beside the colour.
_STYLES = {Verdict.OK.value: "green", Verdict.WARNING.value: "yellow", Verdict.FAILED.value: "bold red"}


def run_doctor(
    settings: Settings,
    *,
    json: bool,
    out: TextIO,
    err: TextIO,
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    clock: Clock | None = None,
    disk: Disk | None = None,
    run_async: Callable[..., list[Finding]] = asyncio.run,
    command: str = HEADLESS,
) -> int:
    """Look everything over, print what was found, and return the exit code.

    `transport` makes what its requests travel on; None is the network. `run_async` runs a coroutine to its
    end; `command` begins the commands in hints.
    """
    looks = examine(
        settings,
        engine_of(settings),
        transport=transport,
        clock=clock or SystemClock(),
        disk=disk or RealDisk(),
        command=command,
        run_async=run_async,
    )
    return _report(_done(looks, err), json=json, out=out, err=err)


def report_unusable_settings(error: SettingsError, *, json: bool, out: TextIO, err: TextIO) -> int:
    """The report where there are no settings to go on with."""
    return _report(unusable_settings(error), json=json, out=out, err=err)


def _done(looks: Iterator[tuple[str, Callable[[], list[Finding]]]], err: TextIO) -> Iterator[Finding]:
    for what, look in looks:
        with _looking_at(what, err):
            found = look()
        yield from found


@contextmanager
def _looking_at(what: str, err: TextIO) -> Iterator[None]:
    """On a terminal, what is being waited for."""
    if not err.isatty():
        yield
        return
    with Console(file=err, markup=False, highlight=False, emoji=False).status(f"Looking at the {what} …"):
        yield


def _report(findings: Iterable[Finding], *, json: bool, out: TextIO, err: TextIO) -> int:
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if not json and not out.isatty():
            _say_line(out, finding)
    code = _exit_code(found)
    if json:
        say(out, json_format.dumps({"exit_code": code, "checks": [_as_json(finding) for finding in found]}, indent=2))
    elif out.isatty():
        rows = [[finding.verdict.value, finding.check, finding.found, finding.todo] for finding in found]
        print_table(out, ["", "check", "found", "what to do"], rows, _STYLES)
    say(err, _summary(found))
    return code


def _say_line(out: TextIO, finding: Finding) -> None:
    say(out, f"{finding.verdict.value:<8}{finding.check}: {printable(finding.found)}")
    if finding.todo:
        say(out, f"        → {printable(finding.todo)}")


def _exit_code(findings: list[Finding]) -> int:
    faults = {finding.fault for finding in findings if finding.verdict is Verdict.FAILED}
    if Fault.CONFIGURATION in faults:
        return MISUSED
    if Fault.SCHEMA in faults:
        return SCHEMA_NOT_READY
    return FAILED if faults else DONE


def _summary(findings: list[Finding]) -> str:
    counts = [(verdict, sum(finding.verdict is verdict for finding in findings)) for verdict in Verdict]
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count)
    fit = all(finding.verdict is not Verdict.FAILED for finding in findings)
    return f"{len(findings)} findings: {told}. " + ("The harvest can run." if fit else "Mend what has failed first.")


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "verdict": finding.verdict.value.lower(),
        "found": printable(finding.found),
        "todo": printable(finding.todo),
        **({"fault": finding.fault.value} if finding.verdict is Verdict.FAILED else {}),
    }

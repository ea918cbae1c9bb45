"""What one check found, and what to mend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong, but the operator may want to know, or it could not be looked at just now."""
    WARNING = "warning"
    """The harvest runs, and something should be mended."""
    FAILED = "FAILED"


class Fault(StrEnum):
    """What kind of mending a failed check asks for; it decides the exit code."""

    OPERATION = "operation"
    CONFIGURATION = "configuration"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    verdict: Verdict
    found: str
    """In words, for people; holds no secret."""
    todo: str = ""
    """What to mend; empty where nothing is."""
    fault: Fault = Fault.OPERATION
    """Counts where the check has failed."""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, found)


def note(check: str, found: str, todo: str = "") -> Finding:
    """Worth knowing."""
    return Finding(check, Verdict.NOTE, found, todo)


def warning(check: str, found: str, todo: str) -> Finding:
    """Worth mending."""
    return Finding(check, Verdict.WARNING, found, todo)


def failed(check: str, found: str, todo: str, fault: Fault = Fault.OPERATION) -> Finding:
    """Must be mended."""
    return Finding(check, Verdict.FAILED, found, todo, fault)

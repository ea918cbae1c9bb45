"""What is known of the API's limits, and whether a restriction is in force."""

from __future__ import annotations

from datetime import UTC, datetime

from harvester.api.restrictions import RestrictionFile, SavedPolicy
from harvester.diagnosis.finding import Finding, note, ok, warning
from harvester.settings import Settings

CHECK = "limits"
LONG_RESTRICTION_SECONDS = 600.0


def limit_findings(settings: Settings, now: float) -> list[Finding]:
    """One finding for each policy that a harvest has met."""
    file = RestrictionFile(settings.cursor_dir)
    saved, problem = file.load()
    if problem is not None:
        return [warning(CHECK, problem, f"Mend the rights of {file.path}, or remove it when no restriction is open.")]
    if not saved.policies:
        return [ok(CHECK, "none known yet: they are learned from the first answers")]
    return [_policy(name, policy, now) for name, policy in sorted(saved.policies.items())]


def _policy(name: str, policy: SavedPolicy, now: float) -> Finding:
    rules = "; ".join(
        f"{rule.name} {','.join(f'{t.hits}:{t.period}:{t.restriction}' for t in rule.triplets)}"
        for rule in policy.rules
    )
    known = f"{name}: {rules or 'no rules named'}"
    left = policy.left_at(now)
    if left <= 0:
        return ok(CHECK, f"{known}; no restriction")
    until = datetime.fromtimestamp(now + left, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    words = f"{known}; the API wants no request for another {left:,.0f} s, until {until}"
    if left <= LONG_RESTRICTION_SECONDS:
        return note(CHECK, words, "Nothing: a harvest waits it out. Do not delete rate-limits.json.")
    todo = "A harvest waits it out. So long a one means repeats: does somebody else use this address or client?"
    return warning(CHECK, words, todo)

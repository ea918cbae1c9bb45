"""The settings: that they can be used is known already; here, whether they leave anything to do."""

from __future__ import annotations

from harvester.diagnosis.finding import Fault, Finding, failed, ok, warning
from harvester.feeds.registry import FEEDS, can_run
from harvester.settings import Settings, SettingsError

CHECK = "settings"


def settings_findings(settings: Settings) -> list[Finding]:
    """What there is to say of settings that were read."""
    found = [warning(CHECK, remark, "Mend it in the environment or in .env.") for remark in settings.warnings]
    named = [queue for queue in settings.queues if queue.feed in FEEDS]
    queues = [queue.key for queue in named if can_run(settings, queue)] or [queue.key for queue in named]
    if not queues:
        return [
            *found,
            failed(
                CHECK,
                "POE_FEEDS and POE_REALMS leave no queue to harvest",
                f"Name a feed ({', '.join(FEEDS)}) and a realm of it.",
                Fault.CONFIGURATION,
            ),
        ]
    leagues = ", ".join(settings.leagues) if settings.leagues else "all leagues"
    left_out = [queue.key for queue in named if queue.key not in queues]
    without = f" ({', '.join(left_out)} is left out: no OAuth client)" if left_out else ""
    return [
        *found,
        ok(CHECK, f"queues {', '.join(queues)}{without}; {leagues}; requests go out as {settings.user_agent!r}"),
    ]


def unusable_settings(error: SettingsError) -> list[Finding]:
    """The findings where the settings cannot be used at all."""
    return [
        failed(
            CHECK,
            f"{problem.variable} is {problem.got}, and wants {problem.wants}"
            if problem.got
            else f"{problem.variable} is not set, and wants {problem.wants}",
            problem.way_out,
            Fault.CONFIGURATION,
        )
        for problem in error.problems
    ]

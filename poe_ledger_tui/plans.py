"""What the app is to run: from the options of the command line, the settings, and how it was left."""

from __future__ import annotations

from poe_ledger_tui.prefs import AsLeft
from poe_ledger_tui.session import HarvestPlan, PlanError
from poe_ledger_tui.wishes import SIMULATED_FEED, Wishes


def make_plan(wishes: Wishes, as_left: AsLeft) -> HarvestPlan:
    """Read the settings and decide. Blocks; raises `PlanError` where they cannot be used."""
    from harvester.settings import SettingsError

    try:
        return _demo_plan(wishes) if wishes.demo else _plan(wishes, as_left)
    except SettingsError as error:
        raise PlanError(str(error)) from error


def _plan(wishes: Wishes, as_left: AsLeft) -> HarvestPlan:
    from harvester.commands.hints import program
    from harvester.settings import load_settings

    settings = load_settings().with_overrides(feeds=wishes.feeds, realms=wishes.realms, leagues=wishes.leagues)
    return HarvestPlan(
        settings=settings,
        command=f"{program()} --headless",
        start=as_left.harvesting if wishes.start is None else wishes.start,
        monitor=wishes.monitor,
    )


def _demo_plan(wishes: Wishes) -> HarvestPlan:
    from harvester.commands.demo import (
        demo_command,
        demo_transport,
        last_demo_directory,
        new_demo_directory,
        settings_of_demo,
    )
    from harvester.commands.hints import program

    directory = last_demo_directory() if wishes.monitor else new_demo_directory()
    settings = settings_of_demo(directory).with_overrides(
        feeds=wishes.feeds, realms=wishes.realms, leagues=wishes.leagues
    )
    if not wishes.feeds and SIMULATED_FEED not in settings.feeds:
        settings = settings.with_overrides(feeds=[*settings.feeds, SIMULATED_FEED])
    command = demo_command(directory)
    return HarvestPlan(
        settings=settings,
        command=command,
        start=wishes.start is not False,
        demo=True,
        monitor=wishes.monitor,
        leave_newest_migration=True,
        transport=lambda: demo_transport(settings),
        farewell=""
        if wishes.monitor
        else f"The demo's data stays until the next demo. Look at it:\n    {command} status\n    {command} sanity\n"
        f"Then your own market: cp .env.example .env, fill it in, and {program()}",
    )

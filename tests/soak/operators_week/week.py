"""Days one after the other, each in a home of its own, and the table of what was seen."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.soak.operators_week.day import Day, NotHere
from tests.soak.operators_week.desk import Desk
from tests.soak.operators_week.market import Market

_HEADS = f"{'day':<14} {'failure':<44} {'recognised by':<66} {'seconds':>7}  cured by"


def play(days: Mapping[str, str], directory: str | None, *, as_json: bool) -> int:
    """Play the days; returns the exit code."""
    began = time.monotonic()
    played: dict[str, Day] = {}
    broken: dict[str, str] = {}
    left_out: dict[str, str] = {}
    table = sys.stderr if as_json else sys.stdout
    print(_HEADS, file=table, flush=True)
    for name, where in days.items():
        with (
            tempfile.TemporaryDirectory(prefix="operators-week-", ignore_cleanup_errors=True) as temporary,
            Market() as market,
        ):
            home = Path(directory or temporary) / name
            home.mkdir(parents=True)
            day = played[name] = Day(Desk(home, market.environ), market)
            module, _, function = where.partition(".")
            try:
                getattr(importlib.import_module(f"tests.soak.operators_week.{module}"), function)(day)
            except NotHere as error:
                left_out[name] = str(error)
            except Exception as error:  # a day that breaks off leaves the others theirs
                broken[name] = f"{type(error).__name__}: {error}"
            finally:
                day.desk.close()
        print(_lines(name, day, broken.get(name, ""), left_out.get(name, "")), file=table, flush=True)
    lost, doubled = (sum(getattr(day, what) for day in played.values()) for what in ("lost", "doubled"))
    if as_json:
        figures = {
            "days": len(played),
            "failures": [{"day": name} | asdict(failure) for name, day in played.items() for failure in day.failures],
            "pages": sum(day.pages for day in played.values()),
            "lost": lost,
            "doubled": doubled,
            "left_out": left_out,
            "wrong": len(broken),
            "seconds": round(time.monotonic() - began, 1),
        }
        print(json.dumps(figures, ensure_ascii=False))
    return 1 if broken or lost or doubled else 0


def _lines(name: str, day: Day, broken: str, left_out: str) -> str:
    rows = [
        f"{name:<14} {failure.what:<44} {', '.join(failure.words):<66} {failure.seconds:>7.1f}  {failure.cure}"
        for failure in day.failures
    ]
    end = f"{day.pages} pages, {day.lost} lost, {day.doubled} doubled"
    if broken or left_out:
        end = f"BROKEN OFF: {broken}" if broken else f"LEFT OUT: {left_out}"
    return "\n".join([*rows, f"{name:<14} {end}"])

"""What must never be loaded: proved in fresh processes, since this one has loaded everything already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
TELL = "; import sys; print(sorted(n for n in sys.modules if n.split('.')[0] in {'textual', 'poe_ledger_tui'}))"


def fresh(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("module", ["harvester", "harvester.supervisor", "poe_trade.cli"])
def test_the_harvester_loads_no_terminal_framework(module: str, tmp_path: Path) -> None:
    done = fresh(f"import {module}{TELL}", tmp_path)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_every_module_of_the_harvester_does_without_it(tmp_path: Path) -> None:
    walk = (
        "import pkgutil, importlib, harvester; "
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(harvester.__path__, 'harvester.')"
        " if not m.name.endswith('__main__')]"
    )
    done = fresh(walk + TELL, tmp_path)

    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("command", [["--headless", "status"], ["--headless", "harvest", "--help"]])
def test_headless_commands_load_no_textual(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from poe_ledger_tui.cli import main\n"
        f"try: main({command!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'textual' not in sys.modules\n"
    )
    done = fresh(code, tmp_path)

    assert done.returncode == 0, done.stderr


def test_the_example_in_the_docs_runs(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "library.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    assert sum(1 for line in example.splitlines() if line.strip()) <= 20

    done = fresh(example, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "psapi:pc: " in done.stdout
    assert "[('pc', '" in done.stdout.splitlines()[-1]

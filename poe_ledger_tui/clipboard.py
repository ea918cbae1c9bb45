"""Copying: by the terminal (OSC 52, which reaches over SSH) and by the system's own tool where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

MAXIMUM = 70_000
"""Characters; terminals refuse more by OSC 52."""
_TOOLS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("pbcopy", ("pbcopy",), ""),
    ("wl-copy", ("wl-copy",), "WAYLAND_DISPLAY"),
    ("xclip", ("xclip", "-selection", "clipboard"), "DISPLAY"),
    ("xsel", ("xsel", "--clipboard", "--input"), "DISPLAY"),
    ("clip.exe", ("clip.exe",), ""),
)


def native_tool() -> tuple[str, ...] | None:
    """The command that takes a clipboard's text on its standard input; None where there is none."""
    for name, command, needs in _TOOLS:
        if (not needs or os.environ.get(needs)) and shutil.which(name):
            return command
    return None


def wants_native(setting: str) -> bool:
    """Whether `auto` should use the system's tool too: not over SSH, where that clipboard is another machine's."""
    if setting == "auto":
        return "SSH_CONNECTION" not in os.environ and (sys.platform == "darwin" or native_tool() is not None)
    return setting == "native"


def copy_native(text: str, run: Callable[..., object] = subprocess.run, tool: Sequence[str] | None = None) -> str:
    """Copy by the system's tool; blocks for a moment, so it is called on a thread. Returns what went wrong, or ""."""
    command = tool or native_tool()
    if command is None:
        return "there is no clipboard tool here (pbcopy, wl-copy, xclip, xsel or clip.exe)"
    try:
        run(
            list(command),
            input=text.encode(),
            check=True,
            timeout=3,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{command[0]} failed: {error}"
    return ""

"""`poe-ledger`: the terminal app, and with `--headless` every command without a screen.

Textual is imported only where there is a screen to draw, and nothing heavy before its first paint: plain opening does
not even load the parser of options.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from poe_ledger_tui.wishes import plain_wishes

FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: ends the process with the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        wishes = plain_wishes(given)
        if wishes is not None:
            gc.disable()  # nothing is thrown away before the first paint; `open_app` enables it behind that
            from poe_ledger_tui.launch import open_app

            open_app(wishes)
        from poe_ledger_tui.command_line import run

        run(given)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing is lost; run it again to go on.\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has left; what is still buffered must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


if __name__ == "__main__":
    main()

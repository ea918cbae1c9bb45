"""The harvest of the Path of Exile market: headless, importable, without a screen.

Start with `harvester.supervisor.Supervisor`; `docs/architecture.md` shows the rooms.
"""

from harvester.version import __version__

__all__ = ["__version__"]

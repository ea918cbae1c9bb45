"""An operator's week: each failure of the runbook injected, recognised on the screen, and cured as it is written.

`python -m tests.soak.operators_week` plays it in real time: `poe-ledger` in a pseudo terminal, against the simulated
API over HTTP, over the real engine. Words, queries and cures are taken from docs/ops-runbook.md.
"""

"""Looking a harvest over without touching it: what `poe-ledger --headless doctor` checks, one file a part.

Nothing here writes, but for one small file in each directory that is removed at once; and at most two requests are
made: for a token, and for an hour of the currency exchange.
"""

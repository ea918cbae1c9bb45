"""A ClickHouse server for tests: the real engine (chDB) in a process of its own, behind ClickHouse's HTTP protocol.

`process.ServerProcess` starts, kills and freezes it; `wire.Wire` stands between it and its clients, and cuts, delays
or refuses what goes over.
"""

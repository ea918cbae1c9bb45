"""A simulated API: the river of stashes, the rules it enforces, and its fronts."""

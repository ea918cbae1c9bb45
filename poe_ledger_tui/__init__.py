"""The terminal app: draws Snapshots and sends commands; holds no logic of the harvest."""

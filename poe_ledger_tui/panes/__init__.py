"""The panes of the dashboard, one a file: each draws itself from a `Picture` and knows nothing else."""

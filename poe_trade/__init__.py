"""The established command line router."""

"""Talking to the API: OAuth, rate limits and pacing, one request and its one answer."""

"""What to ask of each source and how to read the answer: one file a feed."""

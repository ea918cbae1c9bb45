"""The screens, one a file. `base` says how a screen gets its data and how it does what blocks."""

"""The race on recorded runs: its error model fitted to them, and how it compares with its rivals."""

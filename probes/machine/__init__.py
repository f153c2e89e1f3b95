"""The machine a probe runs on: memory, number formats, processes."""

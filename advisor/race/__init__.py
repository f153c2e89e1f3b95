"""Real runs of several options, cut short and compared, that settle the question within a given time."""

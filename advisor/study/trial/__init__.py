"""A trial: options run for real on one's own data, beside fine-tuning alone."""

"""From what the user named to what a probe draws on: data is read, dealt into parts, and tokenised."""

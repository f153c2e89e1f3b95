"""Should this encoder be aligned before it is fine-tuned? Measured on the user's own model."""

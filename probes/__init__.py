"""Measurements on a multilingual encoder before it is fine-tuned."""

"""What is measured on translation pairs without a gradient: words and their links, embeddings, distances."""

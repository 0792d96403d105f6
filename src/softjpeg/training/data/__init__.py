"""Training data: labelled images by name, and batches of them in a reproducible order."""

"""A network learns to read the files: adapters, and their strength by a file's tables."""

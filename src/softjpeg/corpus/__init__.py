"""Many images: what to encode, where to, what is done and what failed."""

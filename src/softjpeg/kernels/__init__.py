"""Fused, compiled versions of what the pure functions define; each has one to fall back to."""

"""What was measured, as pages, charts and terminal tables."""

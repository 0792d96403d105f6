"""Pictures in a browser, on this machine alone: what networks make of their files."""

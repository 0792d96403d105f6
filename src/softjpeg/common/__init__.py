"""What knows neither JPEG nor networks: image files, whole-or-not writes, locks, signals, versioned
JSON, progress, large tensors, optional packages.
"""

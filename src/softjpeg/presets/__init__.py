"""What learning leaves behind: presets, ladders, the network's distortion model; JSON, no torch."""

"""The network in the loop of the encoder: per image the smallest file that keeps its answer."""

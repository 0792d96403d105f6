"""J4D: quantization tables for a frozen network."""

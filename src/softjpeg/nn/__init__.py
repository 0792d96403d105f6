"""The trainable layers, and putting them into a network."""

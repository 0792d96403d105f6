"""One image to an ordinary .jpg file with a preset, and back; also with networks in the loop."""

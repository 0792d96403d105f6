"""The entropy coder of baseline JPEG (ITU-T T.81): blocks to bits and back, numpy only."""

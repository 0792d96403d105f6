"""Speed: what softjpeg's parts cost beside their peers, measured in turns in the same run."""

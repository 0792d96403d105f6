"""What real files do to networks: rate and accuracy, attacks, and everything softjpeg is
compared with.
"""

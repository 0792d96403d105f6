"""Accuracy under attack, and whether what it shows is real: attacks and checks of gradient
masking.
"""

"""The standard (T.81) in NumPy, no torch: tables, Huffman codes, markers; coefficients to bytes
and back.
"""

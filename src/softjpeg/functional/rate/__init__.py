"""What files cost: entropies, expected Huffman symbols, and the bits of whole files,
differentiable.
"""

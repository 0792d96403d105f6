"""Bounds of numbers and lengths that come from outside: each says what lies beyond it.

What T.81 bounds, sides of 65535 pixels or four components, stands in `softjpeg.jpeg`; what a
service takes on, in its settings.
"""

MAX_LEVELS = 1 << 24
"""Of an index set {-L..L}: up to here float32 holds every index."""
MAX_WINDOW = 4095
"""Indices of a soft sum: no coefficient of 8 bits has more in reach."""
MAX_RESNET = 1202
"""Layers of a ResNet for small images: the deepest that He et al. trained."""
MAX_CLASSES = 1 << 20
"""Of a classifier: more than any data set has."""
MAX_COUNT = (1 << 31) - 1
"""Epochs, steps, images, seeds: what counts in 32 bits."""
MAX_RECIPE_BYTES = 1 << 20
"""Of a recipe's file."""
MAX_BASES = 16
"""Recipes that one is made of."""
MAX_PRESET_BYTES = 1 << 20
"""Of a preset's file."""
MAX_LADDER_BYTES = 1 << 23
"""Of a ladder's file: a hundred presets and more."""
MAX_DEPTH = 64
"""Objects and lists in one another: what is read can be written again, and by other programs."""
MAX_DIGITS = 1000
"""Of a whole number in a file: 64 bits of floating point end far before."""
MAX_EXPLAINED = 1 << 18
"""Bytes of a corrupt scan that is decoded again, slowly, to say what is wrong with it."""

/* Blocks side by side: element i of LANES blocks is one vector, so every loop over l vectorizes. */
#ifndef SOFTJPEG_LANES_H
#define SOFTJPEG_LANES_H

#define LANES 16
#define EACH_LANE for (int l = 0; l < LANES; l++)

typedef float Lanes[LANES];

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
/* One version for each generation of processor, chosen when the library is loaded. */
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
/* What a clone calls must be part of it. */
#define INLINE static inline __attribute__((always_inline))

#endif

/* Blocks side by side: element i of LANES blocks is one vector, so every loop over l vectorizes. */
#ifndef SOFTJPEG_LANES_H
#define SOFTJPEG_LANES_H

#define LANES 16
#define EACH_LANE for (int l = 0; l < LANES; l++)

typedef float Lanes[LANES];

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
/* One version for each generation of processor, chosen when the library is loaded. */
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
/* What a clone calls must be part of it. */
#define INLINE static inline __attribute__((always_inline))

/* Eight vectors from LANES groups of eight, and back: loops that become shuffles. */
INLINE void from_groups(const float *groups, Lanes x[8]) {
    EACH_LANE {
        x[0][l] = groups[8 * l], x[1][l] = groups[8 * l + 1];
        x[2][l] = groups[8 * l + 2], x[3][l] = groups[8 * l + 3];
        x[4][l] = groups[8 * l + 4], x[5][l] = groups[8 * l + 5];
        x[6][l] = groups[8 * l + 6], x[7][l] = groups[8 * l + 7];
    }
}

INLINE void to_groups(float *groups, Lanes x[8]) {
    EACH_LANE {
        groups[8 * l] = x[0][l], groups[8 * l + 1] = x[1][l];
        groups[8 * l + 2] = x[2][l], groups[8 * l + 3] = x[3][l];
        groups[8 * l + 4] = x[4][l], groups[8 * l + 5] = x[5][l];
        groups[8 * l + 6] = x[6][l], groups[8 * l + 7] = x[7][l];
    }
}

#endif

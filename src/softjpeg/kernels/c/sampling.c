/* Indices drawn from the CPMF: see codec/probabilistic.py. */
#include <math.h>
#include <stdint.h>

#include "exponential.h"
#include "lanes.h"

#define MAX_REACH 16
#define MAX_AC 1023
#define MIN_DC -1024
#define MAX_DC 1023
#define EACH for (int i = 0; i < 64; i++)

/* SplitMix64 (Steele, Lea and Flood, 2014): its n-th number without those before it. */
INLINE uint64_t random_bits(uint64_t seed, uint64_t n) {
    uint64_t x = seed + 0x9E3779B97F4A7C15u * (n + 1);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* What is below this is nothing beside 1, nor beside the least uniform number, and would only make
   denormal numbers, which are slow. */
INLINE float seen(float p) { return p < 1e-12f ? 0.0f : p; }

/* NaN is 0: values that are no coefficients, too far from any index to tell which is nearest. */
INLINE float not_above_zero(float x) { return x < 0 ? x : 0; }

/* One block. P(c + k) = P(c + k - 1) a falling[k] and P(c - k) = P(c - k + 1) b falling[k]:
   a = exp(-h(1 - 2r)), b = exp(-h(1 + 2r)), falling[k] = exp(-2h(k - 1)), r = z/q - c. */
INLINE void draw(
    int reach, const float *restrict z, const float *restrict q, const float *restrict hardness,
    float falling[][64], const float *restrict uniform, int16_t *restrict indices) {
    float nearest[64], a[64], b[64], p[2 * MAX_REACH + 1][64], point[64];
    EACH {
        const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
        nearest[i] = (z[i] / q[i] + magic) - magic;
        float h = hardness[i], r = (z[i] - nearest[i] * q[i]) / q[i];
        a[i] = seen(weight(not_above_zero(h * (2 * r - 1))));
        b[i] = seen(weight(not_above_zero(h * (-2 * r - 1))));
        p[reach][i] = 1;
    }
    for (int k = 1; k <= reach; k++) {
        EACH p[reach + k][i] = seen(p[reach + k - 1][i] * (a[i] * falling[k][i]));
        EACH p[reach - k][i] = seen(p[reach - k + 1][i] * (b[i] * falling[k][i]));
    }
    for (int k = 1; k <= 2 * reach; k++) EACH p[k][i] += p[k - 1][i];
    EACH point[i] = uniform[i] * p[2 * reach][i], nearest[i] -= reach;
    for (int k = 0; k < 2 * reach; k++) EACH nearest[i] += p[k][i] < point[i] ? 1.0f : 0.0f;
    EACH {
        float low = i ? -MAX_AC : MIN_DC, high = i ? MAX_AC : MAX_DC;
        float bounded = nearest[i] > low ? nearest[i] : low; /* NaN too */
        indices[i] = (int16_t)(bounded < high ? bounded : high);
    }
}

/* z: (blocks, 64); q, hardness: (64,) > 0; `first`: blocks drawn before these with the same seed;
   returns 0 where `reach`, the farthest index from the nearest one, is not from 1 to MAX_REACH. */
CLONES int sample_indices(
    int64_t blocks, const float *z, const float *q, const float *hardness, int reach, uint64_t seed,
    uint64_t first, int16_t *indices) {
    float falling[MAX_REACH + 1][64], uniform[64];
    if (reach < 1 || reach > MAX_REACH) return 0;
    for (int k = 1; k <= reach; k++) EACH falling[k][i] = seen(expf(-2 * hardness[i] * (k - 1)));
    for (int64_t n = 0; n < blocks; n++) {
        for (int i = 0; i < 32; i++) {
            uint64_t bits = random_bits(seed, 32 * (first + n) + i);
            /* 24 bits each, above 0: an index of probability 0 is never drawn. */
            uniform[i] = (float)(int32_t)((bits >> 8 & 0xFFFFFF) + 1) * 0x1p-24f;
            uniform[32 + i] = (float)(int32_t)((bits >> 40) + 1) * 0x1p-24f;
        }
        draw(reach, z + 64 * n, q, hardness, falling, uniform, indices + 64 * n);
    }
    return 1;
}

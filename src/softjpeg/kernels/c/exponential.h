/* Transcendental functions that a compiler can vectorize, to float32's precision. */
#ifndef SOFTJPEG_EXPONENTIAL_H
#define SOFTJPEG_EXPONENTIAL_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"

/* e^x for x up to 60, and 0 below e^-40, which float32 cannot see beside 1. */
INLINE float weight(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float bounded = x > -40.0f ? x : -40.0f;
    float n = bounded * 1.44269504f + magic;
    uint32_t bits;
    memcpy(&bits, &n, 4);
    n -= magic;
    float f = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1 + f * (1 + f * (0.5f + f * (1.6666667e-1f + f * (4.1666667e-2f + f * (8.3333333e-3f + f * 1.3888889e-3f)))));
    bits = (bits + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    p *= scale;
    return x > -40.0f ? p : 0.0f;
}

/* cos and sin of 2 pi d for d from -1/2 to 1/2, through half the angle. */
INLINE void cos_sin(float d, float *cosine, float *sine) {
    float x = 3.14159265f * d, s = x * x;
    float sin_x = x * (1 + s * (-1.6666667e-1f + s * (8.3333333e-3f + s * (-1.9841270e-4f + s * (2.7557319e-6f - s * 2.5052108e-8f)))));
    float cos_x = 1 + s * (-0.5f + s * (4.1666667e-2f + s * (-1.3888889e-3f + s * (2.4801587e-5f - s * 2.7557319e-7f))));
    *cosine = 1 - 2 * sin_x * sin_x;
    *sine = 2 * sin_x * cos_x;
}

#endif

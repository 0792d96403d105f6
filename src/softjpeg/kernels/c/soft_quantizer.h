/* The soft quantizer Q_d of JPEG-DL (eq. 5) for one table entry and LANES coefficients, and its
   gradient: the moments of k = i - c about the nearest index c, as functional/lattice_moments.py. */
#ifndef SOFTJPEG_SOFT_QUANTIZER_H
#define SOFTJPEG_SOFT_QUANTIZER_H

#include <math.h>

#include "exponential.h"

enum Sum { FIVE_POINTS, THETA, DIRECT };

typedef struct {
    float q, high, low; /* the step, in two halves whose products with an integer are exact */
    float inverse;      /* 1 / q */
    float h;
    float slope;        /* 2 alpha q */
    float e;            /* e^-2h, for five points */
    float e1, e2;       /* e^(-pi^2 n^2 / h), for theta */
    enum Sum sum;
    int half;           /* a finite set's ends are felt this far inside */
    int levels;         /* 0: all integers */
} Entry;

static const float PI2 = 9.86960440f;

/* levels and window are 0 where there is none. */
static inline Entry entry_of(float q, float alpha, int levels, int window) {
    Entry t = {.q = q, .inverse = 1 / q, .levels = levels};
    t.high = 4097.0f * q;
    t.high -= t.high - q;
    t.low = q - t.high;
    t.h = alpha * (q * q);
    t.slope = 2 * alpha * q;
    /* Beyond that nothing sees it, and its products would be denormal, which is slow. */
    t.e = t.h < 12 ? expf(-2 * t.h) : 0;
    t.e1 = expf(-PI2 / t.h);
    t.e2 = expf(-4 * PI2 / t.h);
    if (window) {
        t.sum = window == 5 ? FIVE_POINTS : DIRECT;
        t.half = window / 2;
    } else {
        t.sum = t.h >= 2.5f ? FIVE_POINTS : THETA;
        float softest = t.h > 1e-6f ? t.h : 1e-6f;
        t.half = (int)ceilf(0.5f + sqrtf(17 / softest)) + 1;
    }
    if (levels && t.half > 2 * levels) t.half = 2 * levels;
    return t;
}

typedef struct {
    Lanes c, r, mean, variance, covariance;
} Moments;

INLINE void centre(const Entry *t, float mean, float second, float third, float r, Moments *m, int l) {
    float variance = second - mean * mean;
    m->mean[l] = mean;
    m->variance[l] = variance;
    m->covariance[l] = third - mean * second - 2 * (r * t->inverse) * variance;
}

INLINE void five_points(const Entry *t, Moments *m, int all) {
    EACH_LANE {
        float r = m->r[l], size = fabsf(r);
        float x = (size - 0.5f * t->q) * t->slope;
        float a = weight(x), b = weight(-(size + 0.5f * t->q) * t->slope);
        float a2 = t->e * a * a, b2 = t->e * b * b;
        float over = 1 / (1 + a + b + a2 + b2);
        float mean = copysignf((a - b + 2 * (a2 - b2)) * over, r);
        if (all) {
            float second = (a + b + 4 * (a2 + b2)) * over;
            centre(t, mean, second, copysignf((a - b + 8 * (a2 - b2)) * over, r), r, m, l);
        } else {
            m->mean[l] = mean;
        }
    }
}

INLINE void theta(const Entry *t, Moments *m, int all) {
    const float pi = 3.14159265f, h = t->h, e1 = t->e1, e2 = t->e2;
    EACH_LANE {
        float d = m->r[l] * t->inverse, cos1, sin1;
        cos_sin(d, &cos1, &sin1);
        float cos2 = 2 * cos1 * cos1 - 1, sin2 = 2 * sin1 * cos1;
        float over = 1 / (1 + 2 * (e1 * cos1 + e2 * cos2));
        float s1 = -4 * pi * (e1 * sin1 + 2 * e2 * sin2) * over;
        m->mean[l] = d + s1 / (2 * h);
        if (all) {
            float s2 = -8 * PI2 * (e1 * cos1 + 4 * e2 * cos2) * over;
            float s3 = 16 * PI2 * pi * (e1 * sin1 + 8 * e2 * sin2) * over;
            m->variance[l] = (1 + (s2 - s1 * s1) / (2 * h)) / (2 * h);
            m->covariance[l] = s1 / (2 * h * h) + (s3 - s2 * s1) / (8 * h * h * h);
        }
    }
}

/* Term by term, in the lanes that `chosen` picks. */
INLINE void direct_sum(const Entry *t, Moments *m, const int *chosen, int all) {
    Lanes total = {0}, first = {0}, second = {0}, third = {0};
    for (int k = -t->half; k <= t->half; k++) {
        const float n = (float)k; /* its cube may be too great for an int */
        EACH_LANE {
            float x = 0.5f * t->slope * k * (2 * m->r[l] - k * t->q);
            float w = weight(x);
            if (t->levels && fabsf(m->c[l] + k) > t->levels) w = 0;
            total[l] += w;
            first[l] += n * w;
            second[l] += n * n * w;
            third[l] += n * n * n * w;
        }
    }
    EACH_LANE {
        if (!chosen[l]) continue;
        float over = 1 / total[l], mean = first[l] * over;
        m->mean[l] = mean;
        if (all) centre(t, mean, second[l] * over, third[l] * over, m->r[l], m, l);
    }
}

INLINE void moments(const Entry *t, const float *z, Moments *m, int all) {
    EACH_LANE {
        float c = rintf(z[l] * t->inverse);
        if (t->levels) c = c > t->levels ? t->levels : c < -t->levels ? -t->levels : c;
        m->c[l] = c;
        m->r[l] = (z[l] - c * t->high) - c * t->low;
    }
    if (t->sum == FIVE_POINTS) five_points(t, m, all);
    if (t->sum == THETA) theta(t, m, all);
    int chosen[LANES], any = 0;
    EACH_LANE {
        chosen[l] = t->sum == DIRECT || (t->levels && fabsf(m->c[l]) > t->levels - t->half);
        any |= chosen[l];
    }
    if (any) direct_sum(t, m, chosen, all);
}

INLINE void soft_quantize(const Entry *entry, float *z) {
    /* A copy cannot be changed through z, which would keep the loop from being vectorized. */
    const Entry t = *entry;
    Moments m;
    moments(&t, z, &m, 0);
    EACH_LANE z[l] = t.q * (m.c[l] + m.mean[l]);
}

/* The gradient that arrives becomes that of z; those of q, at fixed alpha, and of alpha add up. */
INLINE void soft_quantize_gradient(
    const Entry *entry, const float *restrict z, float *restrict gradient, float *restrict to_q,
    float *restrict to_alpha) {
    const Entry t = *entry;
    Moments m;
    moments(&t, z, &m, 1);
    const float twice_h = 2 * t.h, q3 = t.q * t.q * t.q;
    EACH_LANE {
        float slope = m.variance[l] * twice_h;
        float at_fixed_h = m.c[l] + m.mean[l] - z[l] * t.inverse * slope;
        to_q[l] += gradient[l] * (at_fixed_h - m.covariance[l] * twice_h);
        to_alpha[l] -= gradient[l] * m.covariance[l] * q3;
        gradient[l] *= slope;
    }
}

#endif

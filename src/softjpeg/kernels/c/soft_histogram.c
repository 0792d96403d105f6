/* The marginal distribution of the index at each frequency, soft, and the gradient of a sum over it.

   With k = i - c about the nearest index c, d = r / q and h = alpha q^2, the weight of index i is
   w_k = e^(h(2dk - k^2)): a^k e^(-hk(k-1)) with a = e^(h(2d - 1)), and b = e^(-h(2d + 1)) below c. */
#include <math.h>
#include <stdlib.h>

#include "exponential.h"
#include "tiles.h"

enum { OUT_OF_MEMORY = -1 };

/* kernels/cpu/soft_histogram.py has the same fields. */
typedef struct {
    int64_t blocks;
    int64_t bins;        /* of each frequency */
    int32_t half;        /* indices on each side of the nearest */
    int32_t levels;      /* the index set's end, or 0 */
    const float *q, *alpha, *lowest; /* (64); the index of the first bin */
} Histogram;

typedef struct {
    float q, high, low;    /* the step, in two halves whose products with an index are exact */
    float slope;           /* h / q */
    float first, last;     /* that may be nearest */
    const float *decay;    /* e^(-hk(k-1)) */
} Frequency;

/* The nearest indices, the residuals, and the probabilities of 2 half + 1 indices. */
INLINE void distribute(
    const Histogram *s, const Frequency *f, const Lanes z, Lanes c, Lanes r, Lanes *p) {
    Lanes a, b, up, down, total;
    EACH_LANE {
        float nearest = rintf(z[l] / f->q);
        nearest = nearest >= f->first ? nearest <= f->last ? nearest : f->last : f->first;
        c[l] = nearest;
        r[l] = (z[l] - nearest * f->high) - nearest * f->low;
        /* Above 0 only beyond the end of the index set, where nothing is. */
        float above = f->slope * (2 * r[l] - f->q), below = f->slope * (-2 * r[l] - f->q);
        a[l] = weight(above < 0 ? above : 0);
        b[l] = weight(below < 0 ? below : 0);
        up[l] = down[l] = total[l] = p[s->half][l] = 1;
    }
    float end = s->levels ? (float)s->levels : INFINITY;
    for (int k = 1; k <= s->half; k++) {
        float decay = f->decay[k];
        EACH_LANE {
            up[l] *= a[l], down[l] *= b[l];
            float above = c[l] + k <= end ? up[l] * decay : 0;
            float below = c[l] - k >= -end ? down[l] * decay : 0;
            p[s->half + k][l] = above, p[s->half - k][l] = below;
            total[l] += above + below;
        }
    }
    EACH_LANE total[l] = 1 / total[l];
    for (int k = 0; k <= 2 * s->half; k++) EACH_LANE p[k][l] *= total[l];
}

/* What `distribute` needs of every frequency, and room for its probabilities. */
static int prepare(const Histogram *s, Frequency f[64], float **decays, Lanes **p) {
    int64_t count = s->half + 1;
    *decays = malloc(64 * count * sizeof **decays);
    *p = malloc((2 * count - 1) * sizeof **p);
    if (!*decays || !*p) {
        free(*decays), free(*p);
        return 0;
    }
    for (int m = 0; m < 64; m++) {
        float q = s->q[m], h = s->alpha[m] * q * q, *decay = *decays + m * count;
        for (int64_t k = 0; k < count; k++) {
            double x = exp(-(double)h * k * (k - 1));
            decay[k] = x > 1e-30 ? (float)x : 0;
        }
        float high = 4097.0f * q, first = s->lowest[m] + s->half;
        high -= high - q;
        float last = first + (float)(s->bins - 1 - 2 * s->half);
        if (s->levels && last > s->levels) last = s->levels;
        /* float32 leaves out indices beyond 2^24; bins are for those from first to last alone. */
        if (!(last >= first && last - first <= s->bins - 1 - 2 * s->half)) last = first;
        f[m] = (Frequency){q, high, q - high, s->alpha[m] * q, first, last, decay};
    }
    return 1;
}

/* Adds the probabilities of every block to marginal (64, bins). */
CLONES static void add_blocks(
    const Histogram *s, const Frequency f[64], Lanes *p, const float *z, double *marginal) {
    for (int64_t first = 0; first < s->blocks; first += LANES) {
        int count = s->blocks - first < LANES ? (int)(s->blocks - first) : LANES;
        Lanes x[64], c, r;
        load_blocks(z, first, count, x);
        for (int m = 0; m < 64; m++) {
            distribute(s, &f[m], x[m], c, r, p);
            double *bins = marginal + m * s->bins;
            int same = count == LANES;
            for (int l = 1; l < LANES; l++) same &= c[l] == c[0];
            if (same) {
                bins += (int64_t)(c[0] - f[m].first);
                for (int k = 0; k <= 2 * s->half; k++) {
                    for (int n = LANES / 2; n; n /= 2)
                        for (int l = 0; l < n; l++) p[k][l] += p[k][l + n];
                    bins[k] += p[k][0];
                }
                continue;
            }
            for (int l = 0; l < count; l++) {
                double *own = bins + (int64_t)(c[l] - f[m].first);
                for (int k = 0; k <= 2 * s->half; k++) own[k] += p[k][l];
            }
        }
    }
}

int soft_histogram(const Histogram *s, const float *z, double *marginal) {
    Frequency f[64];
    float *decays;
    Lanes *p;
    if (!prepare(s, f, &decays, &p)) return OUT_OF_MEMORY;
    add_blocks(s, f, p, z, marginal);
    free(decays), free(p);
    return 0;
}

/* Of sum_m scale_m sum_blocks sum_i P(i|z) cost_m(i): with S1 and S2 the covariances of the cost
   with k and k^2, d/dz = 2 alpha q S1, d/dalpha = 2 r q S1 - q^2 S2 and
   d/dq = 2 alpha ((r - qc) S1 - q S2). */
CLONES static void differentiate(
    const Histogram *s, const Frequency f[64], Lanes *p, const float *z, const float *costs,
    const float *scale, float *to_z, double *to_q, double *to_alpha) {
    for (int64_t first = 0; first < s->blocks; first += LANES) {
        int count = s->blocks - first < LANES ? (int)(s->blocks - first) : LANES;
        Lanes x[64], c, r;
        load_blocks(z, first, count, x);
        for (int m = 0; m < 64; m++) {
            distribute(s, &f[m], x[m], c, r, p);
            const float *own = costs + m * s->bins;
            int32_t at[LANES];
            Lanes mean = {0}, one = {0}, two = {0}, with_one = {0}, with_two = {0};
            EACH_LANE at[l] = (int32_t)(c[l] - f[m].first);
            for (int k = -s->half; k <= s->half; k++) {
                const Lanes *weights = p + k + s->half;
                const float n = (float)k; /* its square may be too great for an int */
                EACH_LANE {
                    float w = (*weights)[l], cost = w * own[at[l] + k + s->half];
                    mean[l] += cost, with_one[l] += cost * n, with_two[l] += cost * (n * n);
                    one[l] += w * n, two[l] += w * (n * n);
                }
            }
            float q = f[m].q, slope = 2 * s->alpha[m] * q;
            double q_sum = 0, alpha_sum = 0;
            EACH_LANE {
                float share = l < count ? scale[m] : 0;
                float s1 = share * (with_one[l] - mean[l] * one[l]);
                float s2 = share * (with_two[l] - mean[l] * two[l]);
                x[m][l] = slope * s1;
                mean[l] = 2 * s->alpha[m] * ((r[l] - q * c[l]) * s1 - q * s2);
                one[l] = q * (2 * r[l] * s1 - q * s2);
            }
            EACH_LANE q_sum += mean[l], alpha_sum += one[l];
            to_q[m] += q_sum, to_alpha[m] += alpha_sum;
        }
        if (to_z) store_blocks(to_z, first, count, x);
    }
}

int soft_histogram_gradient(
    const Histogram *s, const float *z, const float *costs, const float *scale, float *to_z,
    double *to_q, double *to_alpha) {
    Frequency f[64];
    float *decays;
    Lanes *p;
    if (!prepare(s, f, &decays, &p)) return OUT_OF_MEMORY;
    differentiate(s, f, p, z, costs, scale, to_z, to_q, to_alpha);
    free(decays), free(p);
    return 0;
}

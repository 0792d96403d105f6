/* The AC indices of least squared error + bits of each block: see softjpeg/trellis.py. */
#include <math.h>
#include <stdint.h>

#include "zigzag.h"

#define SIZES 12
#define RUNS 63
#define MAX_AC 1023
#define MIN_DC -1024
#define MAX_DC 1023

/* What a run of zeros and the coefficient after it cost, by the coefficient's size. */
typedef struct {
    const double *costs;         /* (SIZES, RUNS) */
    double at_least[SIZES][RUNS]; /* of this run and all longer ones */
    double end;                  /* of the code that ends a block early */
} Rate;

/* A nonzero coefficient that a path may go through; the first of all is the DC. */
typedef struct {
    int place, before, index;
    double best, dropped; /* the least cost up to it, and the cost of zeros up to it */
    double ahead;         /* the least best - dropped of all steps up to it */
} Step;

/* To the nearest integer, halves to even, for |x| < 2^51: SSE2 has no instruction for it. */
static inline double rounded(double x) {
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    return (x + magic) - magic;
}

static inline int16_t limited(double x, int low, int high) {
    return (int16_t)(x > low ? (x < high ? x : high) : low); /* NaN too */
}

static inline int size_of(double index) {
    return index < 1024 ? 32 - __builtin_clz((unsigned)index) : SIZES - 1;
}

/* Where to come from to a coefficient of this size at `place`, zeros up to which cost `dropped`. */
static inline int cheapest(
    const Step *steps, int count, int place, double dropped, const Rate *rate, int size, double *cost) {
    const double *costs = rate->costs + RUNS * size, *at_least = rate->at_least[size];
    int from = 0;
    double least = INFINITY;
    for (int i = count - 1; i >= 0; i--) {
        int run = place - 1 - steps[i].place;
        /* More than rounding above the least: nothing from here on comes below it. */
        if (steps[i].ahead + dropped + at_least[run] > least + 1e-12 * (least + dropped)) break;
        double path = steps[i].best + (dropped - steps[i].dropped) + costs[run];
        if (path <= least) least = path, from = i;
    }
    *cost = least;
    return from;
}

static void decide(
    const double *z, const double *q, const double *weights, const Rate *rate, int16_t *indices) {
    double nearest[64], zero_error[64];
    for (int i = 0; i < 64; i++) {
        nearest[i] = rounded(fabs(z[i]) / q[i]);
        zero_error[i] = weights[i] * (z[i] * z[i]);
        indices[i] = 0;
    }
    indices[0] = limited(rounded(z[0] / q[0]), MIN_DC, MAX_DC);
    int end = 63;
    while (end && !(nearest[ZIGZAG[end]] > 0)) end--;

    Step steps[64];
    steps[0] = (Step){0};
    int count = 1;
    double dropped = 0;
    for (int j = 1; j <= end; j++) {
        int at = ZIGZAG[j];
        double before = dropped;
        dropped += zero_error[at];
        if (!(nearest[at] > 0)) continue;
        Step step = {.place = j, .best = INFINITY, .dropped = dropped};
        int previous = -1, from = 0;
        double path = 0;
        for (int less = 0; less < 2 && nearest[at] > less; less++) {
            double k = nearest[at] - less, error = fabs(z[at]) - k * q[at];
            int size = size_of(k);
            if (size != previous) from = cheapest(steps, count, j, before, rate, size, &path);
            previous = size;
            double cost = path + weights[at] * (error * error);
            if (cost < step.best) step.best = cost, step.before = from, step.index = limited(k, 0, MAX_AC);
        }
        step.ahead = fmin(steps[count - 1].ahead, step.best - dropped);
        steps[count++] = step;
    }
    int last = 0;
    double least = INFINITY;
    for (int i = 0; i < count; i++) {
        double cost = steps[i].best + (dropped - steps[i].dropped) + (steps[i].place < 63 ? rate->end : 0);
        if (cost < least) least = cost, last = i;
    }
    for (; last; last = steps[last].before) {
        int at = ZIGZAG[steps[last].place];
        indices[at] = (int16_t)(z[at] < 0 ? -steps[last].index : steps[last].index);
    }
}

/* z, weights: (blocks, 64) in raster order, `stride` 0 where all blocks have the same weights;
   costs: (SIZES, RUNS) of a run and the coefficient after it, each of them finite and >= 0. */
void decide_blocks(
    int64_t blocks, const double *z, const double *q, const double *weights, int64_t stride,
    const double *costs, double end_cost, int16_t *indices) {
    Rate rate = {.costs = costs, .end = end_cost};
    for (int size = 0; size < SIZES; size++) {
        double least = INFINITY;
        for (int run = RUNS - 1; run >= 0; run--)
            rate.at_least[size][run] = least = fmin(least, costs[RUNS * size + run]);
    }
    for (int64_t n = 0; n < blocks; n++) decide(z + 64 * n, q, weights + stride * n, &rate, indices + 64 * n);
}

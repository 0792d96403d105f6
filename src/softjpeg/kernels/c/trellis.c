/* The AC indices of least squared error + bits of each block: see codec/trellis.py. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "zigzag.h"

#define SIZES 12
#define RUNS 63
#define MAX_AC 1023
#define MIN_DC -1024
#define MAX_DC 1023

/* What a run of zeros and the coefficient after it cost, by the coefficient's size. */
typedef struct {
    const double *costs;          /* (SIZES, RUNS) */
    double at_least[SIZES][RUNS]; /* of this run and all longer ones */
    double end;                   /* of the code that ends a block early */
} Rate;

/* Nonzero coefficients that a path may go through; the first of all is the DC. */
typedef struct {
    int place[64], index[64], before[64];
    double best[64];  /* the least cost of a path that ends here, less that of zeros */
    double ahead[64]; /* the least of these so far */
} Steps;

/* To the nearest integer, halves to even, for |x| < 2^51: SSE2 has no instruction for it. */
static inline double rounded(double x) {
    const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
    return (x + magic) - magic;
}

static inline int limited(double x, int low, int high) {
    return (int)(x > low ? (x < high ? x : high) : low); /* NaN too */
}

/* The last of `count` + 1 steps may have this index, if no other does for less. */
static inline void reach(
    Steps *steps, int count, int index, double value, double q, double weight, const Rate *rate) {
    int size = 32 - __builtin_clz((unsigned)index), from = 0;
    const double *costs = rate->costs + RUNS * size, *at_least = rate->at_least[size];
    double least = INFINITY, kept = index * q;
    for (int i = count - 1; i >= 0; i--) {
        int run = steps->place[count] - 1 - steps->place[i];
        if (steps->ahead[i] + at_least[run] > least) break; /* So are all others. */
        double path = steps->best[i] + costs[run];
        if (path <= least) least = path, from = i;
    }
    double cost = least - weight * (kept * (2 * value - kept));
    if (cost < steps->best[count]) {
        steps->best[count] = cost;
        steps->before[count] = from;
        steps->index[count] = index;
    }
}

static void decide(
    const float *z, const double *q, const double *weights, double block_weight, const Rate *rate,
    int16_t *indices) {
    memset(indices, 0, 64 * sizeof *indices);
    indices[0] = (int16_t)limited(rounded((double)z[0] / q[0]), MIN_DC, MAX_DC);
    uint64_t live = 0;
    for (int j = 1; j < 64; j++) live |= (uint64_t)(2 * fabs((double)z[ZIGZAG[j]]) >= q[ZIGZAG[j]]) << j;

    Steps steps;
    steps.place[0] = 0;
    steps.best[0] = steps.ahead[0] = 0;
    int count = 1;
    for (; live; live &= live - 1) {
        int place = __builtin_ctzll(live), at = ZIGZAG[place];
        double value = fabs((double)z[at]), weight = weights[at] * block_weight;
        int nearest = limited(rounded(value / q[at]), 0, MAX_AC);
        if (!nearest) continue;
        steps.place[count] = place;
        steps.before[count] = steps.index[count] = 0;
        steps.best[count] = INFINITY;
        reach(&steps, count, nearest, value, q[at], weight, rate);
        /* The next index towards zero has a shorter code only where it loses a bit. */
        if (nearest > 1 && !(nearest & (nearest - 1)))
            reach(&steps, count, nearest - 1, value, q[at], weight, rate);
        steps.ahead[count] = fmin(steps.ahead[count - 1], steps.best[count]);
        count++;
    }
    int last = 0;
    double least = INFINITY;
    for (int i = 0; i < count; i++) {
        double cost = steps.best[i] + (steps.place[i] < 63 ? rate->end : 0);
        if (cost < least) least = cost, last = i;
    }
    for (; last; last = steps.before[last]) {
        int at = ZIGZAG[steps.place[last]];
        indices[at] = (int16_t)(z[at] < 0 ? -steps.index[last] : steps.index[last]);
    }
}

/* z, weights: (blocks, 64) in raster order, `stride` 0 where all blocks have the same weights, which
   are then multiplied by `block_weights` (blocks,), or NULL; costs: (SIZES, RUNS) of a run and the
   coefficient after it. */
void decide_blocks(
    int64_t blocks, const float *z, const double *q, const double *weights, int64_t stride,
    const double *block_weights, const double *costs, double end_cost, int16_t *indices) {
    Rate rate = {.costs = costs, .end = end_cost};
    for (int size = 0; size < SIZES; size++) {
        double least = INFINITY;
        for (int run = RUNS - 1; run >= 0; run--)
            rate.at_least[size][run] = least = fmin(least, costs[RUNS * size + run]);
    }
    for (int64_t n = 0; n < blocks; n++) {
        double block_weight = block_weights ? block_weights[n] : 1;
        decide(z + 64 * n, q, weights + stride * n, block_weight, &rate, indices + 64 * n);
    }
}

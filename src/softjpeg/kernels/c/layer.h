/* What the fused layer is called with; kernels/cpu/layer.py has the same fields. */
#ifndef SOFTJPEG_LAYER_H
#define SOFTJPEG_LAYER_H

#include <stdint.h>
#include <stdlib.h>

#include "soft_quantizer.h"

enum Layout { COLOR, GRAY, PLANES };

typedef struct {
    int64_t batch, channels, height, width;
    int32_t layout;
    int32_t v, h; /* luma rows and columns for one of chroma */
    int32_t rounding, zero_dc, levels, window;
    int32_t rounds, kinds;
    int32_t threads;
    const float *steps, *alphas; /* (rounds, kinds, 64) */
} Layer;

/* A tensor (batch, channels, height, width). */
typedef struct {
    float *data;
    int64_t stride[4];
} Image;

/* Sums of the gradients of steps and alphas over one task, (2, rounds, slots, 64); slots are the
   tables that a task uses: luma and chroma, or one. */
typedef double *Sums;

typedef struct {
    Lanes to_q[64], to_alpha[64];
} TableGradient;

/* rounds x kinds x 64 entries to be freed, or NULL without memory. */
static inline Entry *entries_of(const Layer *layer) {
    int64_t count = (int64_t)layer->rounds * layer->kinds * 64;
    Entry *entries = malloc(count * sizeof *entries);
    for (int64_t i = 0; entries && i < count; i++)
        entries[i] = entry_of(layer->steps[i], layer->alphas[i], layer->levels, layer->window);
    return entries;
}

/* What LANES coefficients of each frequency add to, summed over the lanes. */
static inline void sum_lanes(const TableGradient *tables, int count, Sums sums) {
    for (int t = 0; t < count; t++)
        for (int m = 0; m < 64; m++) {
            double to_q = 0, to_alpha = 0;
            EACH_LANE to_q += tables[t].to_q[m][l], to_alpha += tables[t].to_alpha[m][l];
            sums[t * 64 + m] = to_q;
            sums[(count + t) * 64 + m] = to_alpha;
        }
}

/* Where every component has the image's resolution: full_resolution_layer.c. */
int64_t full_resolution_tasks(const Layer *);
int full_resolution_forward(const Layer *, const Entry *, const Image *, const Image *);
int full_resolution_backward(const Layer *, const Entry *, const Image *, const Image *, const Image *, Sums);

/* Where chroma has fewer samples, an image a task: subsampled_layer.c. */
int subsampled_forward(const Layer *, const Entry *, const Image *, const Image *);
int subsampled_backward(const Layer *, const Entry *, const Image *, const Image *, const Image *, Sums);

/* All rounds of one component's coefficients. */
void quantize_rounds(const Layer *, const Entry *, int kind, Lanes z[64]);

/* The gradient g of their output becomes that of the coefficients z. */
void quantize_rounds_gradient(
    const Layer *, const Entry *, int kind, Lanes z[64], Lanes g[64], TableGradient *, int slot, int slots);

#endif

/* The fused JPEG layer: samples to samples, and all gradients. */
#include "layer.h"

static int is_subsampled(const Layer *layer) { return layer->v * layer->h > 1; }

/* How many tasks the work is cut into: each leaves its own sums of table gradients. */
int64_t layer_tasks(const Layer *layer) {
    return is_subsampled(layer) ? layer->batch : full_resolution_tasks(layer);
}

/* 0, or 1 without memory. */
int layer_forward(const Layer *layer, const Image *image, const Image *shown) {
    Entry *entries = entries_of(layer);
    if (!entries) return 1;
    int failed = (is_subsampled(layer) ? subsampled_forward : full_resolution_forward)(layer, entries, image, shown);
    free(entries);
    return failed;
}

/* `sums` holds (tasks, 2, rounds, slots, 64): the gradients of steps and of alphas, times 255 where
   the image is in [0, 1]. image_gradient may have no data. */
int layer_backward(
    const Layer *layer, const Image *image, const Image *gradient, const Image *image_gradient, Sums sums) {
    Entry *entries = entries_of(layer);
    if (!entries) return 1;
    int failed = (is_subsampled(layer) ? subsampled_backward : full_resolution_backward)(
        layer, entries, image, gradient, image_gradient, sums);
    free(entries);
    return failed;
}

/* Images to coefficients and back, each with its adjoint: functional/transform.py in C. */
#include "analysis.h"
#include "synthesis.h"

/* Samples of a strip: as many as stay in the cache beside what is made of them. */
#define STRIP 32768

static void free_planes(Plane planes[3]) {
    for (int c = 0; c < 3; c++) free(planes[c].samples);
}

/* The planes of an image and `extra` floats; 0 without memory, and nothing to be freed. */
static int allocate(const Transform *t, Plane planes[3], int64_t extra, float **scratch) {
    *scratch = extra ? malloc(extra * sizeof(float)) : NULL;
    int found = !extra || *scratch;
    for (int c = 0; c < 3; c++) {
        planes[c] = c < t->channels ? plane_of(extent_of(t, c)) : (Plane){0};
        found &= c >= t->channels || planes[c].samples;
    }
    if (!found) free_planes(planes), free(*scratch);
    return found;
}

/* `image` to (batch, rows, columns, 64) of each component. */
int image_to_coefficients(const Transform *t, const void *image, float *const coefficients[3]) {
    int64_t unit = 8 * t->v, across = divided(t->width, 8 * t->h) * 8 * t->h;
    int64_t strip = (STRIP + across * unit - 1) / (across * unit) * unit;
    Transform part = *t;
    part.height = strip < t->height ? strip : t->height;
    Plane planes[3];
    float *scratch;
    if (!allocate(&part, planes, 3 * t->v * across, &scratch)) return OUT_OF_MEMORY;
    int64_t size = t->is_float ? sizeof(float) : 1;
    for (int64_t n = 0; n < t->batch; n++) {
        for (int64_t y = 0; y < t->height; y += strip) {
            part.height = strip < t->height - y ? strip : t->height - y;
            const char *from = (const char *)image + (n * t->stride[0] + y * t->stride[2]) * size;
            for (int c = 0; c < t->channels; c++) planes[c].rows = extent_of(&part, c).rows;
            image_to_planes(&part, from, planes, scratch);
            for (int c = 0; c < t->channels; c++) {
                int64_t above = y / (c ? unit : 8) * planes[c].columns * 64;
                plane_to_coefficients(
                    &planes[c], coefficients[c] + n * coefficients_of(extent_of(t, c)) + above);
            }
        }
    }
    free_planes(planes), free(scratch);
    return 0;
}

/* The gradient of `image`, float32, from those of its coefficients. */
int image_gradient(const Transform *t, const float *const gradients[3], float *image) {
    Plane planes[3];
    float *scratch;
    if (!allocate(t, planes, 3 * t->width, &scratch)) return OUT_OF_MEMORY;
    for (int64_t n = 0; n < t->batch; n++) {
        for (int c = 0; c < t->channels; c++)
            coefficients_to_plane(
                gradients[c] + n * coefficients_of(extent_of(t, c)), NULL, &planes[c]);
        gather_gradient(t, planes, scratch, image + n * t->stride[0]);
    }
    free_planes(planes), free(scratch);
    return 0;
}

/* What a decoder shows of coefficients that are first rounded to steps, where these are given. */
int coefficients_to_image(
    const Transform *t, const float *const coefficients[3], const float *const steps[3],
    float *image) {
    Plane planes[3];
    float *scratch;
    if (!allocate(t, planes, 3 * padded_width(t), &scratch)) return OUT_OF_MEMORY;
    for (int64_t n = 0; n < t->batch; n++) {
        for (int c = 0; c < t->channels; c++) {
            coefficients_to_plane(
                coefficients[c] + n * coefficients_of(extent_of(t, c)), steps[c], &planes[c]);
            decode_samples(t, &planes[c], c);
        }
        planes_to_image(t, planes, scratch, image + n * t->stride[0]);
    }
    free_planes(planes), free(scratch);
    return 0;
}

/* The gradients of coefficients from that of the image they are shown as. */
int coefficient_gradients(const Transform *t, const float *image, float *const gradients[3]) {
    Plane planes[3];
    float *scratch;
    if (!allocate(t, planes, 2 * padded_width(t), &scratch)) return OUT_OF_MEMORY;
    for (int64_t n = 0; n < t->batch; n++) {
        scatter_gradient(t, image + n * t->stride[0], planes, scratch);
        for (int c = 0; c < t->channels; c++)
            plane_to_coefficients(
                &planes[c], gradients[c] + n * coefficients_of(extent_of(t, c)));
    }
    free_planes(planes), free(scratch);
    return 0;
}

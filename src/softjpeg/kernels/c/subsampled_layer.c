/* The fused JPEG layer with subsampled chroma, 4:2:2 and 4:2:0: an image a task.

   Upsampling mixes neighbouring blocks, so chroma passes through two planes of one image: decoded
   before luma in the forward pass, and gradients after luma in the backward pass. */
#include "blocks.h"
#include "dct.h"
#include "layer.h"
#include "upsampling.h"
#include "ycbcr.h"

typedef struct {
    int64_t rows, columns;               /* of a chroma plane, in samples */
    int64_t luma_columns, chroma_columns; /* in blocks */
    int64_t luma_blocks, chroma_blocks;
} Planes;

static Planes planes_of(const Layer *layer) {
    Planes p;
    p.rows = (layer->height + layer->v - 1) / layer->v;
    p.columns = (layer->width + layer->h - 1) / layer->h;
    p.luma_columns = (layer->width + 7) / 8;
    p.luma_blocks = (layer->height + 7) / 8 * p.luma_columns;
    p.chroma_columns = (p.columns + 7) / 8;
    p.chroma_blocks = (p.rows + 7) / 8 * p.chroma_columns;
    return p;
}

/* Luma blocks of image n: where they lie, and the chroma about them where `window` is asked for. */
static void place_luma(const Layer *layer, const Planes *p, const int64_t s[4], int64_t n, int64_t first, Blocks *b, Window *window) {
    int count = (int)at_most(LANES, p->luma_blocks - first);
    for (int l = 0; l < LANES; l++) {
        int64_t block = first + at_most(l, count - 1);
        int64_t y0 = block / p->luma_columns * 8, x0 = block % p->luma_columns * 8;
        if (l < count) place(b, l, n * s[0], y0, x0, layer->height, layer->width, s[2], s[3], 1, 1, 0, 0);
        if (window) place_window(window, l, y0, x0, p->rows, p->columns);
    }
    finish(b, count);
    if (window) window->count = count;
}

/* Of every group of pixels that share a chroma sample, the one at (dy, dx). */
static void place_chroma(const Layer *layer, const Planes *p, const int64_t s[4], int64_t n, int64_t first, int dy, int dx, Blocks *b) {
    int count = (int)at_most(LANES, p->chroma_blocks - first);
    for (int l = 0; l < count; l++) {
        int64_t y0 = (first + l) / p->chroma_columns * 8, x0 = (first + l) % p->chroma_columns * 8;
        place(b, l, n * s[0], y0, x0, layer->height, layer->width, s[2], s[3], layer->v, layer->h, dy, dx);
    }
    finish(b, count);
}

static void place_plane(const Planes *p, int64_t first, Blocks *b) {
    int count = (int)at_most(LANES, p->chroma_blocks - first);
    for (int l = 0; l < count; l++) {
        int64_t y0 = (first + l) / p->chroma_columns * 8, x0 = (first + l) % p->chroma_columns * 8;
        place(b, l, 0, y0, x0, p->rows, p->columns, p->columns, 1, 1, 1, 0, 0);
    }
    finish(b, count);
}

INLINE void luma_coefficients(const Layer *layer, const Blocks *b, const Image *image, Lanes y[64]) {
    Lanes rgb[3][64];
    for (int c = 0; c < 3; c++) get(b, image->data + c * image->stride[1], rgb[c]);
    for (int i = 0; i < 64; i++)
        EACH_LANE y[i][l] = to_component(0, rgb[0][i][l], rgb[1][i][l], rgb[2][i][l], layer->rounding);
    block_dct(y);
}

CLONES static void add_chroma(const Layer *layer, const Blocks *b, const Image *image, Lanes chroma[2][64]) {
    Lanes rgb[3][64];
    for (int c = 0; c < 3; c++) get(b, image->data + c * image->stride[1], rgb[c]);
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < 64; i++)
            EACH_LANE chroma[c][i][l] +=
                to_component(c + 1, rgb[0][i][l], rgb[1][i][l], rgb[2][i][l], layer->rounding);
}

CLONES static void average_and_transform(const Layer *layer, Lanes chroma[2][64]) {
    float share = 1.0f / (layer->v * layer->h);
    for (int c = 0; c < 2; c++) {
        for (int i = 0; i < 64; i++) {
            float bias = layer->v == 1 ? i % 2 * 0.5f : (1 + i % 2) * 0.25f; /* libjpeg's alternates */
            EACH_LANE {
                float mean = share * chroma[c][i][l];
                chroma[c][i][l] = layer->rounding ? floorf(mean + bias) : mean;
            }
        }
        block_dct(chroma[c]);
    }
}

static void chroma_coefficients(const Layer *layer, const Planes *p, const Image *image, int64_t n, int64_t first, Lanes chroma[2][64]) {
    memset(chroma, 0, 2 * 64 * sizeof(Lanes));
    for (int dy = 0; dy < layer->v; dy++)
        for (int dx = 0; dx < layer->h; dx++) {
            Blocks b;
            place_chroma(layer, p, image->stride, n, first, dy, dx, &b);
            add_chroma(layer, &b, image, chroma);
        }
    average_and_transform(layer, chroma);
}

CLONES static void decode_chroma(const Layer *layer, const Entry *entries, const Blocks *b, Lanes chroma[2][64], float *const planes[2]) {
    for (int c = 0; c < 2; c++) {
        quantize_rounds(layer, entries, 1, chroma[c]);
        block_idct(chroma[c]);
        for (int i = 0; i < 64; i++) EACH_LANE chroma[c][i][l] = decoded(chroma[c][i][l], layer->rounding);
        put(b, planes[c], chroma[c]);
    }
}

CLONES static void decode_luma(
    const Layer *layer, const Entry *entries, const Blocks *in, const Blocks *out, const Window *w, const Image *image,
    float *const planes[2], const Image *shown) {
    Lanes y[64], cb[64], cr[64], x[64];
    int rounding = layer->rounding;
    luma_coefficients(layer, in, image, y);
    quantize_rounds(layer, entries, 0, y);
    block_idct(y);
    upsample(w, planes[0], cb, rounding);
    upsample(w, planes[1], cr, rounding);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 64; i++)
            EACH_LANE x[i][l] = to_channel(c, decoded(y[i][l], rounding), cb[i][l], cr[i][l], rounding);
        put(out, shown->data + c * shown->stride[1], x);
    }
}

CLONES static void luma_gradient(
    const Layer *layer, const Entry *entries, const Blocks *in, const Blocks *from, const Blocks *to, const Window *w,
    const Image *image, const Image *gradient, const Image *image_gradient, float *const planes[2], TableGradient *tables) {
    Lanes y[64], g[3][64], x[64];
    for (int c = 0; c < 3; c++) {
        get(from, gradient->data + c * gradient->stride[1], g[c]);
        clear_outside(from, g[c]);
    }
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 64; i++) EACH_LANE x[i][l] = component_gradient(c, g[0][i][l], g[1][i][l], g[2][i][l]);
        if (c) upsample_gradient(w, x, planes[c - 1]);
        else memcpy(y, x, sizeof x);
    }
    block_dct(y);
    luma_coefficients(layer, in, image, x);
    quantize_rounds_gradient(layer, entries, 0, x, y, tables, 0, 2);
    if (!image_gradient->data) return;
    block_idct(y);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 64; i++) EACH_LANE x[i][l] = channel_gradient(c, y[i][l], 0, 0);
        put_gradient(to, image_gradient->data + c * image_gradient->stride[1], x);
    }
}

CLONES static void chroma_gradient(
    const Layer *layer, const Entry *entries, const Blocks *b, Lanes z[2][64], float *const planes[2], Lanes g[2][64], TableGradient *tables) {
    for (int c = 0; c < 2; c++) {
        get(b, planes[c], g[c]);
        clear_outside(b, g[c]);
        block_dct(g[c]);
        quantize_rounds_gradient(layer, entries, 1, z[c], g[c], tables, 1, 2);
    }
}

CLONES static void chroma_samples(Lanes g[2][64]) {
    for (int c = 0; c < 2; c++) block_idct(g[c]);
}

CLONES static void add_image_gradient(const Layer *layer, const Blocks *b, Lanes g[2][64], const Image *image_gradient) {
    Lanes x[64];
    float share = 1.0f / (layer->v * layer->h);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 64; i++) EACH_LANE x[i][l] = share * channel_gradient(c, 0, g[0][i][l], g[1][i][l]);
        add(b, image_gradient->data + c * image_gradient->stride[1], x);
    }
}

static void forward_image(const Layer *layer, const Entry *entries, const Planes *p, const Image *image, const Image *shown, int64_t n, float *const planes[2]) {
    Blocks in, out;
    for (int64_t first = 0; first < p->chroma_blocks; first += LANES) {
        Lanes chroma[2][64];
        chroma_coefficients(layer, p, image, n, first, chroma);
        place_plane(p, first, &out);
        decode_chroma(layer, entries, &out, chroma, planes);
    }
    for (int64_t first = 0; first < p->luma_blocks; first += LANES) {
        Window window = {.v = layer->v, .plain = p->columns <= 2};
        place_luma(layer, p, image->stride, n, first, &in, &window);
        place_luma(layer, p, shown->stride, n, first, &out, NULL);
        decode_luma(layer, entries, &in, &out, &window, image, planes, shown);
    }
}

static void backward_image(
    const Layer *layer, const Entry *entries, const Planes *p, const Image *image, const Image *gradient,
    const Image *image_gradient, int64_t n, float *const planes[2], TableGradient *tables) {
    Blocks in, from, to;
    for (int64_t first = 0; first < p->luma_blocks; first += LANES) {
        Window window = {.v = layer->v, .plain = p->columns <= 2};
        place_luma(layer, p, image->stride, n, first, &in, &window);
        place_luma(layer, p, gradient->stride, n, first, &from, NULL);
        place_luma(layer, p, image_gradient->stride, n, first, &to, NULL);
        luma_gradient(layer, entries, &in, &from, &to, &window, image, gradient, image_gradient, planes, tables);
    }
    for (int64_t first = 0; first < p->chroma_blocks; first += LANES) {
        Lanes z[2][64], g[2][64];
        chroma_coefficients(layer, p, image, n, first, z);
        place_plane(p, first, &from);
        chroma_gradient(layer, entries, &from, z, planes, g, tables);
        if (!image_gradient->data) continue;
        chroma_samples(g);
        for (int dy = 0; dy < layer->v; dy++)
            for (int dx = 0; dx < layer->h; dx++) {
                place_chroma(layer, p, image_gradient->stride, n, first, dy, dx, &to);
                add_image_gradient(layer, &to, g, image_gradient);
            }
    }
}

int subsampled_forward(const Layer *layer, const Entry *entries, const Image *image, const Image *shown) {
    Planes p = planes_of(layer);
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(layer->threads) if (layer->batch > 1)
    for (int64_t n = 0; n < layer->batch; n++) {
        float *memory = malloc(2 * p.rows * p.columns * sizeof *memory);
        float *planes[2] = {memory, memory + p.rows * p.columns};
        if (memory) forward_image(layer, entries, &p, image, shown, n, planes);
        else failed = 1;
        free(memory);
    }
    return failed;
}

int subsampled_backward(
    const Layer *layer, const Entry *entries, const Image *image, const Image *gradient, const Image *image_gradient, Sums sums) {
    Planes p = planes_of(layer);
    int failed = 0, tables = 2 * layer->rounds;
#pragma omp parallel for schedule(dynamic) num_threads(layer->threads) if (layer->batch > 1)
    for (int64_t n = 0; n < layer->batch; n++) {
        float *memory = calloc(2 * p.rows * p.columns, sizeof *memory);
        TableGradient *own = calloc(tables, sizeof *own);
        float *planes[2] = {memory, memory + p.rows * p.columns};
        if (memory && own) {
            backward_image(layer, entries, &p, image, gradient, image_gradient, n, planes, own);
            sum_lanes(own, tables, sums + n * tables * 128);
        } else {
            failed = 1;
        }
        free(memory);
        free(own);
    }
    return failed;
}

/* The fused JPEG layer where every component has the image's resolution: 4:4:4, gray, planes.

   LANES blocks at a time go from samples to samples without leaving the first cache. */
#include "blocks.h"
#include "dct.h"
#include "layer.h"
#include "ycbcr.h"

enum { GROUPS_PER_TASK = 16 };

/* Planes that share tables are one long row of blocks, cut into groups of LANES and into tasks. */
typedef struct {
    int64_t sets, planes, rows, columns, groups, tasks_per_set, tasks;
} Plan;

static Plan plan_of(const Layer *layer) {
    Plan p;
    p.sets = layer->layout == PLANES && layer->kinds > 1 ? layer->channels : 1;
    p.planes = layer->batch * (layer->layout == PLANES && layer->kinds == 1 ? layer->channels : 1);
    p.rows = (layer->height + 7) / 8;
    p.columns = (layer->width + 7) / 8;
    p.groups = (p.planes * p.rows * p.columns + LANES - 1) / LANES;
    p.tasks_per_set = (p.groups + GROUPS_PER_TASK - 1) / GROUPS_PER_TASK;
    p.tasks = p.sets * p.tasks_per_set;
    return p;
}

static void place_group(const Layer *layer, const Plan *p, const int64_t stride[4], int64_t set, int64_t group, Blocks *b) {
    int64_t blocks = p->planes * p->rows * p->columns;
    int count = (int)at_most(LANES, blocks - group * LANES);
    for (int l = 0; l < count; l++) {
        int64_t block = group * LANES + l, plane = block / (p->rows * p->columns);
        int64_t within = block % (p->rows * p->columns), channel = set;
        if (p->planes > layer->batch) {
            channel = plane % layer->channels;
            plane /= layer->channels;
        }
        place(b, l, plane * stride[0] + channel * stride[1], within / p->columns * 8, within % p->columns * 8,
              layer->height, layer->width, stride[2], stride[3], 1, 1, 0, 0);
    }
    finish(b, count);
}

/* Samples of a group to its coefficients: three components of colour, or one plane. */
INLINE void coefficients(const Layer *layer, const Blocks *b, const Image *image, Lanes z[3][64]) {
    int color = layer->layout == COLOR;
    for (int c = 0; c < (color ? 3 : 1); c++) get(b, image->data + c * image->stride[1], z[c]);
    if (color) {
        for (int i = 0; i < 64; i++) EACH_LANE {
            float r = z[0][i][l], g = z[1][i][l], v = z[2][i][l];
            for (int c = 0; c < 3; c++) z[c][i][l] = to_component(c, r, g, v, layer->rounding);
        }
    } else if (layer->layout == GRAY) {
        for (int i = 0; i < 64; i++) EACH_LANE {
            float x = 255 * z[0][i][l];
            z[0][i][l] = (layer->rounding ? rounded(x) : x) - 128;
        }
    }
    for (int c = 0; c < (color ? 3 : 1); c++) block_dct(z[c]);
}

CLONES static void forward_group(
    const Layer *layer, const Entry *entries, int kind, const Blocks *in, const Blocks *out, const Image *image,
    const Image *shown) {
    Lanes z[3][64];
    int color = layer->layout == COLOR, rounding = layer->rounding;
    coefficients(layer, in, image, z);
    for (int c = 0; c < (color ? 3 : 1); c++) {
        quantize_rounds(layer, entries, color ? c > 0 : kind, z[c]);
        block_idct(z[c]);
    }
    if (color) {
        for (int i = 0; i < 64; i++) EACH_LANE {
            float y = decoded(z[0][i][l], rounding), cb = decoded(z[1][i][l], rounding), cr = decoded(z[2][i][l], rounding);
            for (int c = 0; c < 3; c++) z[c][i][l] = to_channel(c, y, cb, cr, rounding);
        }
    } else if (layer->layout == GRAY) {
        for (int i = 0; i < 64; i++) EACH_LANE z[0][i][l] = to_unit(z[0][i][l] + 128, rounding);
    }
    for (int c = 0; c < (color ? 3 : 1); c++) put(out, shown->data + c * shown->stride[1], z[c]);
}

CLONES static void backward_group(
    const Layer *layer, const Entry *entries, int kind, const Blocks *in, const Blocks *from, const Blocks *to,
    const Image *image, const Image *gradient, const Image *image_gradient, TableGradient *tables) {
    Lanes z[3][64], g[3][64];
    int color = layer->layout == COLOR, components = color ? 3 : 1;
    coefficients(layer, in, image, z);
    for (int c = 0; c < components; c++) {
        get(from, gradient->data + c * gradient->stride[1], g[c]);
        clear_outside(from, g[c]);
    }
    if (color)
        for (int i = 0; i < 64; i++) EACH_LANE {
            float r = g[0][i][l], v = g[1][i][l], b = g[2][i][l];
            for (int c = 0; c < 3; c++) g[c][i][l] = component_gradient(c, r, v, b);
        }
    for (int c = 0; c < components; c++) {
        block_dct(g[c]);
        quantize_rounds_gradient(
            layer, entries, color ? c > 0 : kind, z[c], g[c], tables, color ? c > 0 : 0, color ? 2 : 1);
    }
    if (!image_gradient->data) return;
    for (int c = 0; c < components; c++) block_idct(g[c]);
    if (color)
        for (int i = 0; i < 64; i++) EACH_LANE {
            float y = g[0][i][l], cb = g[1][i][l], cr = g[2][i][l];
            for (int c = 0; c < 3; c++) g[c][i][l] = channel_gradient(c, y, cb, cr);
        }
    for (int c = 0; c < components; c++) put_gradient(to, image_gradient->data + c * image_gradient->stride[1], g[c]);
}

int64_t full_resolution_tasks(const Layer *layer) { return plan_of(layer).tasks; }

int full_resolution_forward(const Layer *layer, const Entry *entries, const Image *image, const Image *shown) {
    Plan p = plan_of(layer);
#pragma omp parallel for schedule(dynamic) num_threads(layer->threads) if (p.tasks > 1)
    for (int64_t task = 0; task < p.tasks; task++) {
        int64_t set = task / p.tasks_per_set, first = task % p.tasks_per_set * GROUPS_PER_TASK;
        for (int64_t group = first; group < at_most(first + GROUPS_PER_TASK, p.groups); group++) {
            Blocks in, out;
            place_group(layer, &p, image->stride, set, group, &in);
            place_group(layer, &p, shown->stride, set, group, &out);
            forward_group(layer, entries, (int)set, &in, &out, image, shown);
        }
    }
    return 0;
}

int full_resolution_backward(
    const Layer *layer, const Entry *entries, const Image *image, const Image *gradient, const Image *image_gradient,
    Sums sums) {
    int failed = 0;
    Plan p = plan_of(layer);
    int tables = layer->rounds * (layer->layout == COLOR ? 2 : 1);
#pragma omp parallel for schedule(dynamic) num_threads(layer->threads) if (p.tasks > 1)
    for (int64_t task = 0; task < p.tasks; task++) {
        TableGradient *own = calloc(tables, sizeof *own);
        if (!own) {
            failed = 1;
            continue;
        }
        int64_t set = task / p.tasks_per_set, first = task % p.tasks_per_set * GROUPS_PER_TASK;
        for (int64_t group = first; group < at_most(first + GROUPS_PER_TASK, p.groups); group++) {
            Blocks in, from, to;
            place_group(layer, &p, image->stride, set, group, &in);
            place_group(layer, &p, gradient->stride, set, group, &from);
            place_group(layer, &p, image_gradient->stride, set, group, &to);
            backward_group(layer, entries, (int)set, &in, &from, &to, image, gradient, image_gradient, own);
        }
        sum_lanes(own, tables, sums + task * tables * 128);
        free(own);
    }
    return failed;
}

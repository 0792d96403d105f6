/* The quantizers of one component, one after the other, and their gradients. */
#include "layer.h"

/* All rounds of one component's coefficients. */
CLONES void quantize_rounds(const Layer *layer, const Entry *entries, int kind, Lanes z[64]) {
    for (int m = 0; m < 64; m++) {
        if (m == 0 && layer->zero_dc) EACH_LANE z[0][l] = 0;
        for (int round = 0; round < layer->rounds; round++)
            soft_quantize(&entries[(round * layer->kinds + kind) * 64 + m], z[m]);
    }
}

/* The gradient g of their output becomes that of the coefficients z. */
CLONES void quantize_rounds_gradient(
    const Layer *layer, const Entry *entries, int kind, Lanes z[64], Lanes g[64], TableGradient *tables, int slot,
    int slots) {
    for (int m = 0; m < 64; m++) {
        if (m == 0 && layer->zero_dc) EACH_LANE z[0][l] = 0;
        /* Rounds are few: each one's input is computed again instead of being kept. */
        for (int round = layer->rounds - 1; round >= 0; round--) {
            Lanes input;
            memcpy(input, z[m], sizeof input);
            for (int before = 0; before < round; before++)
                soft_quantize(&entries[(before * layer->kinds + kind) * 64 + m], input);
            TableGradient *own = &tables[round * slots + slot];
            soft_quantize_gradient(
                &entries[(round * layer->kinds + kind) * 64 + m], input, g[m], own->to_q[m], own->to_alpha[m]);
        }
        if (m == 0 && layer->zero_dc) EACH_LANE g[0][l] = 0;
    }
}

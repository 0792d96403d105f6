/* Whether a progressive scan is whole (T.81 G): each code known, no coefficient beyond its band, no
   bits left over. What is wrong ends in -1. */
#include "scan_symbol.h"

/* Coefficients first..last, zigzag; whether earlier scans sent their higher bits. */
typedef struct {
    int32_t first, last, refines;
} Band;

/* How many blocks' bands end here, of a symbol that announces up to 14 more bits. */
INLINE int64_t end_run(Reader *in, int bits) {
    refill(in);
    return (1 << bits) + (bits ? take(in, bits) : 0);
}

/* The first bits of a block's band (T.81 G.1.2.2); bit k of `known`: coefficient k is not zero. */
INLINE int check_first(Reader *in, const Decoder *ac, Band band, uint64_t *known, int64_t *run) {
    if (*run) return (*run)--, 0;
    for (int k = band.first, value; k <= band.last; k++) {
        int symbol = next_symbol(in, ac, &value), zeros = symbol >> 4;
        if (symbol < 0) return -1;
        if (!(symbol & 15) && zeros < 15) {
            *run = end_run(in, zeros) - 1;
            return 0;
        }
        k += zeros;
        if (k > band.last) return -1;
        if (symbol & 15) *known |= (uint64_t)1 << k;
    }
    return 0;
}

/* One more bit of each (T.81 G.1.2.3): known coefficients have it among the symbols of new ones. */
INLINE int check_refined(Reader *in, const Decoder *ac, Band band, uint64_t *known, int64_t *run) {
    uint64_t before = *known;
    int k = band.first;
    while (!*run && k <= band.last) {
        int value, symbol = next_symbol(in, ac, &value), zeros = symbol >> 4, size = symbol & 15;
        if (symbol < 0 || size > 1) return -1;
        if (!size && zeros < 15) {
            *run = end_run(in, zeros);
            break;
        }
        refill(in);
        for (; k <= band.last; k++) {
            if (before >> k & 1) skip(in, 1);
            else if (!zeros--) break;
            if (in->bits < 8) refill(in);
        }
        if (k > band.last) return size ? -1 : 0;
        if (size) *known |= (uint64_t)1 << k;
        k++;
    }
    if (!*run) return 0;
    for (; k <= band.last; k++) {
        if (in->bits < 8) refill(in);
        if (before >> k & 1) skip(in, 1);
    }
    (*run)--;
    return 0;
}

/* The DC of a block: its difference, or one more bit of it. */
INLINE int check_dc(Reader *in, const Decoder *dc, Band band) {
    int difference;
    if (!band.refines) return next_symbol(in, dc, &difference) < 0 ? -1 : 0;
    refill(in);
    skip(in, 1);
    return 0;
}

/* `stream` and `ends` as scan_read has them; tables: DHT bytes of each component's table, of DC
   where the band starts with it; known: of the only component of an AC scan, a word for each
   block (rows, columns), zigzag, changed. */
int scan_check(const Layout *layout, const uint8_t *stream, const int64_t *ends,
               const uint8_t *tables, int64_t tables_size, const Band *band, uint64_t *known) {
    Decoder decoders[MAX_COMPONENTS];
    int refined_dc = !band->first && band->refines;
    for (int c = 0; c < layout->components && !refined_dc; c++) {
        int64_t size = fill_decoder(tables, tables_size, &decoders[c]);
        if (size < 0) return -1;
        tables += size, tables_size -= size;
    }
    int64_t mcus = (int64_t)layout->mcu_rows * layout->mcu_columns, start = 0;
    int64_t interval = layout->restart_interval ? layout->restart_interval : mcus;
    for (int64_t done = 0; done < mcus; start = *ends++) {
        Reader in = {stream + start, 0, 0};
        int64_t run = 0, at = 8 * start;
        for (int64_t left = interval; left && done < mcus; left--, done++) {
            if (band->first) {
                /* Its MCU is a block. */
                int wrong = band->refines
                                ? check_refined(&in, &decoders[0], *band, known++, &run)
                                : check_first(&in, &decoders[0], *band, known++, &run);
                if (wrong) return -1;
            } else {
                for (int c = 0; c < layout->components; c++)
                    for (int i = layout->of[c].h * layout->of[c].v; i; i--)
                        if (check_dc(&in, &decoders[c], *band)) return -1;
            }
            at = 8 * (in.next - stream) - in.bits;
            if (at > 8 * *ends) return -1;
        }
        if (8 * *ends - at >= (done < mcus ? 8 : LEFT_OVER)) return -1;
    }
    return 0;
}

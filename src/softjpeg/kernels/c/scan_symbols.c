/* Blocks to the symbols of a baseline scan (T.81 F.1.2), as tokens and as counts.
   A token: component << 25 | is AC << 24 | symbol << 16 | the bits that follow its code. */
#include "scan.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MAX_AC 1023
#define MAX_DC_DIFFERENCE 2047
#define MIN_DC (-1024)
#define MAX_DC 1023 /* The range is a power of 2: values in it have no other bits. */

/* T.81 F.1.2.1: a negative value sends the low bits of itself less one. */
INLINE uint32_t value_bits(int value, int size) {
    return (uint32_t)(value + (value >> 31)) & ((1u << size) - 1);
}

/* ZIGZAG_OF_ROW[row][nonzero places of the row] = the same places in zigzag order. */
static uint64_t ZIGZAG_OF_ROW[8][256];

/* VALUES[value + MAX_AC] = size << 16 | the bits that follow its code, for AC. */
static uint32_t VALUES[2 * MAX_AC + 2];
#define BEYOND (1u << 31) /* What the last of them is, which makes their number a power of 2. */

__attribute__((constructor)) static void fill_tables(void) {
    for (int value = -MAX_AC; value <= MAX_AC; value++) {
        int size = value ? size_of(value) : 0;
        VALUES[value + MAX_AC] = (uint32_t)size << 16 | value_bits(value, size);
    }
    VALUES[2 * MAX_AC + 1] = BEYOND;

    for (int place = 0; place < 64; place++)
        for (int row = ZIGZAG[place] / 8, bit = ZIGZAG[place] % 8, set = 0; set < 256; set++)
            ZIGZAG_OF_ROW[row][set] |= (uint64_t)(set >> bit & 1) << place;
}

/* One bit for each coefficient that is not 0, raster order. */
INLINE uint64_t nonzero(const int16_t *block) {
    uint64_t mask = 0;
#ifdef __SSE2__
    for (int part = 0; part < 64; part += 16) {
        __m128i low = _mm_loadu_si128((const __m128i *)(block + part));
        __m128i high = _mm_loadu_si128((const __m128i *)(block + part + 8));
        __m128i zero = _mm_cmpeq_epi8(_mm_packs_epi16(low, high), _mm_setzero_si128());
        mask |= (uint64_t)(uint16_t)~_mm_movemask_epi8(zero) << part;
    }
#else
    for (int place = 0; place < 64; place++) mask |= (uint64_t)(block[place] != 0) << place;
#endif
    return mask;
}

INLINE uint64_t nonzero_zigzag(const int16_t *block) {
    uint64_t mask = nonzero(block), zigzag = 0;
    for (int row = 0; row < 8; row++) zigzag |= ZIGZAG_OF_ROW[row][mask >> 8 * row & 255];
    return zigzag;
}

/* What becomes of symbols, which the compiler knows: they are kept, counted or both. */
typedef struct {
    uint32_t *tokens;
    int64_t *counts;
    int keep, count;
    int dc_range; /* Refuse a DC out of MIN_DC..MAX_DC too. */
} Sink;

INLINE void send_token(Sink *to, uint32_t token) {
    if (to->keep) *to->tokens++ = token;
    if (to->count) to->counts[token >> 16]++;
}

INLINE void send(Sink *to, uint32_t symbol, uint32_t bits) { send_token(to, symbol << 16 | bits); }

/* The AC symbols of a block. Returns bits from 2 * MAX_AC + 2 on where a value is beyond MAX_AC. */
INLINE uint32_t send_ac(const int16_t *block, uint64_t places, uint32_t table, Sink *to) {
    uint32_t seen = 0;
    int before = 0;
    for (; places; places &= places - 1) {
        int place = __builtin_ctzll(places), run = place - before - 1;
        uint32_t at = (uint32_t)(block[ZIGZAG[place]] + MAX_AC);
        uint32_t value = VALUES[at & (2 * MAX_AC + 1)];
        for (; run > 15; run -= 16) send(to, table | ZRL, 0);
        send_token(to, ((table | run << 4) << 16) + (value & ~BEYOND));
        seen |= at | (value & BEYOND);
        before = place;
    }
    if (before < 63) send(to, table | EOB, 0);
    return seen;
}

/* Returns how many tokens there are, or -1 where a value is beyond baseline. */
INLINE int64_t send_scan(const Layout *layout, const int16_t *const *planes, Sink to,
                         int64_t *starts) {
    const uint32_t *tokens = to.tokens;
    uint32_t ac = 0, dc = 0, dc_range = 0;
    int32_t left = 0, predicted[MAX_COMPONENTS] = {0};
    Slot slots[MAX_SLOTS];
    for (int32_t mcu_row = 0; mcu_row < layout->mcu_rows; mcu_row++) {
        int count = slots_of_row(layout, mcu_row, slots);
        for (int32_t mcu = 0; mcu < layout->mcu_columns; mcu++) {
            if (left == 0) {
                if (to.keep) *starts++ = to.tokens - tokens;
                memset(predicted, 0, sizeof predicted);
                left = layout->restart_interval ? layout->restart_interval : -1;
            }
            left -= left > 0;
            for (const Slot *slot = slots; slot < slots + count; slot++) {
                uint32_t table = (uint32_t)slot->component << 9;
                if (mcu >= slot->real) {
                    /* A dummy block: its DC is predicted exactly. */
                    send(&to, table, 0);
                    send(&to, table | 256 | EOB, 0);
                    continue;
                }
                const int16_t *block = planes[slot->component] + slot->first + (int64_t)mcu * slot->step;
                int difference = block[0] - predicted[slot->component];
                int size = difference ? size_of(difference) : 0;
                predicted[slot->component] = block[0];
                dc_range |= (uint32_t)(block[0] - MIN_DC);
                send(&to, table | (size & 15), value_bits(difference, size) & 0xFFFF);
                dc |= (uint32_t)(difference < 0 ? -difference : difference);
                ac |= send_ac(block, nonzero_zigzag(block) & ~1ull, table | 256, &to);
            }
        }
    }
    if (to.dc_range && dc_range > MAX_DC - MIN_DC) return -1;
    if (ac > 2 * MAX_AC + 1 || dc > MAX_DC_DIFFERENCE) return -1;
    if (!to.keep) return 0;
    *starts = to.tokens - tokens;
    return *starts;
}

/* `tokens` has room for 64 of each block, dummy blocks included; `starts` for the first one of each
   restart interval and for their end; `counts` (components, 2, 256) are added to, or NULL;
   `dc_range`: refuse a DC out of MIN_DC..MAX_DC too. */
CLONES int64_t scan_tokens(const Layout *layout, const int16_t *const *planes, uint32_t *tokens,
                           int64_t *starts, int64_t *counts, int dc_range) {
    if (!counts) return send_scan(layout, planes, (Sink){tokens, NULL, 1, 0, dc_range}, starts);
    return send_scan(layout, planes, (Sink){tokens, counts, 1, 1, dc_range}, starts);
}

/* Counts of planes (images, rows, columns, 64) alone: (images, components, 2, 256). */
CLONES int64_t scan_counts(const Layout *layout, const int16_t *const *planes, int64_t images,
                           int64_t *counts) {
    const int16_t *own[MAX_COMPONENTS];
    for (int64_t image = 0; image < images; image++, counts += layout->components * 512) {
        for (int c = 0; c < layout->components; c++)
            own[c] = planes[c] + image * layout->of[c].rows * layout->of[c].columns * 64;
        if (send_scan(layout, own, (Sink){NULL, counts, 0, 1, 0}, NULL) < 0) return -1;
    }
    return 0;
}

/* The least and the greatest of blocks' DC, then AC: of 1 block at least. */
CLONES void scan_extremes(const int16_t *blocks, int64_t count, int16_t extremes[4]) {
    int16_t low[64], high[64];
    for (int place = 0; place < 64; place++) low[place] = INT16_MAX, high[place] = INT16_MIN;
    for (const int16_t *block = blocks; block < blocks + count * 64; block += 64) {
        for (int place = 0; place < 64; place++) {
            low[place] = block[place] < low[place] ? block[place] : low[place];
            high[place] = block[place] > high[place] ? block[place] : high[place];
        }
    }
    extremes[0] = low[0], extremes[1] = high[0];
    extremes[2] = low[1], extremes[3] = high[1];
    for (int place = 2; place < 64; place++) {
        if (low[place] < extremes[2]) extremes[2] = low[place];
        if (high[place] > extremes[3]) extremes[3] = high[place];
    }
}

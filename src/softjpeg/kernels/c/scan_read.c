/* The bytes of a sequential scan to blocks (T.81 F.2), or only to whether they are whole. Whatever is
   wrong ends in -1. */
#include "scan_symbol.h"

#define RUN 11 /* Bits that a table of 4 KiB takes all whole symbols from. */
#define AT_ONCE 4 /* Look-ups of as many bits that fit between two refills, of 56 at least. */
#define MAX_BLOCK_BYTES 256 /* No symbol with its extra bits takes more than 31 bits. */

/* A block with its DC difference, raster order. */
INLINE int read_block(Reader *in, const Decoder *dc, const Decoder *ac, int16_t *block,
                      int *difference) {
    if (read_symbol(in, dc, difference) < 0) return -1;
    memset(block, 0, 64 * sizeof *block);
    for (int place = 0, value; place < 63;) {
        refill(in);
        for (int most = AT_ONCE; most && place < 63; most--) {
            Entry entry = ac->fast[in->word >> (64 - FAST)];
            if (!entry.value) {
                int symbol = read_symbol(in, ac, &value);
                if (symbol == EOB) return 0;
                /* ZRL is a run of 15 before a 0. */
                place += (symbol >> 4) + 1;
                if (symbol < 0 || place > 63) return -1;
                block[ZIGZAG[place]] = (int16_t)value;
                break;
            }
            skip(in, entry.length);
            place += (entry.symbol >> 4) + 1;
            if (place > 63) return -1;
            block[ZIGZAG[place]] = entry.value;
        }
    }
    return 0;
}

/* The AC symbols, their values too, that are whole within the next RUN bits. */
typedef struct {
    uint8_t bits;
    uint8_t steps; /* Along the zigzag; ENDS: to the end of the block; NONE: no symbol is whole. */
} Run;

#define ENDS 128
#define NONE 127

static void fill_runs(const Decoder *ac, Run runs[1 << RUN]) {
    for (int word = 0; word < 1 << RUN; word++) {
        int bits = 0, steps = 0;
        while (steps < ENDS) {
            /* Past these bits are zeros: a code that fits within them does not depend on those. */
            Entry entry = ac->fast[(word << bits & ((1 << RUN) - 1)) >> (RUN - FAST)];
            int size = entry.symbol & 15, all = entry.length + (entry.value ? 0 : size);
            int known = size || entry.symbol == EOB || entry.symbol == ZRL;
            int taken = entry.symbol == EOB ? ENDS : (entry.symbol >> 4) + 1;
            if (!entry.length || !known || bits + all > RUN || steps + taken % ENDS > 63) break;
            bits += all, steps += taken;
        }
        runs[word] = (Run){(uint8_t)bits, (uint8_t)(bits ? steps : NONE)};
    }
}

/* Whether there is a block, with its DC difference. */
INLINE int check_block(Reader *in, const Decoder *dc, const Decoder *ac, const Run *runs,
                       int *difference) {
    if (read_symbol(in, dc, difference) < 0) return -1;
    for (int place = 0, value; place < 63;) {
        refill(in);
        for (int most = AT_ONCE; most && place < 63; most--) {
            Run run = runs[in->word >> (64 - RUN)];
            int next = place + run.steps;
            /* A symbol after the block's last coefficient is the next block's. */
            if (next > 63 && (run.steps < ENDS || next - ENDS > 62)) {
                int symbol = read_symbol(in, ac, &value);
                if (symbol == EOB) return 0;
                place += (symbol >> 4) + 1;
                if (symbol < 0 || place > 63) return -1;
                break;
            }
            skip(in, run.bits);
            place = next;
        }
    }
    return 0;
}

/* `stream`: without stuffing and markers, padded with MAX_BLOCK_BYTES zeros for each block of an
   MCU and one more; ends: of each restart interval in it; tables: DHT bytes of each component's DC
   and AC table. Fills every block of the planes (rows, columns, 64); NULL: only looks for faults. */
CLONES int scan_read(const Layout *layout, const uint8_t *stream, const int64_t *ends,
                     const uint8_t *tables, int64_t tables_size, int16_t *const *planes) {
    Decoder decoders[2 * MAX_COMPONENTS];
    const uint8_t *starts[2 * MAX_COMPONENTS];
    Run made[MAX_COMPONENTS][1 << RUN];
    const Run *runs[MAX_COMPONENTS];
    for (int table = 0; table < 2 * layout->components; table++) {
        int64_t size = fill_decoder(tables, tables_size, &decoders[table]);
        if (size < 0) return -1;
        starts[table] = tables;
        tables += size, tables_size -= size;
        if (planes || table % 2 == 0) continue;
        int same = 1; /* Cb and Cr mostly have one table. */
        while (same < table && memcmp(starts[same], starts[table], (size_t)size)) same += 2;
        runs[table / 2] = made[same / 2];
        if (same == table) fill_runs(&decoders[table], made[table / 2]);
    }
    int64_t mcus = (int64_t)layout->mcu_rows * layout->mcu_columns, start = 0;
    int64_t interval = layout->restart_interval ? layout->restart_interval : mcus;
    int32_t mcu_row = 0, mcu = layout->mcu_columns;
    Slot slots[MAX_SLOTS];
    int count = 0;
    int16_t dummy[64];
    for (int64_t done = 0; done < mcus; start = *ends++) {
        Reader in = {stream + start, 0, 0};
        int64_t predicted[MAX_COMPONENTS] = {0}, at = 8 * start;
        for (int64_t left = interval; left && done < mcus; left--, done++, mcu++) {
            if (mcu == layout->mcu_columns) {
                mcu = 0;
                count = slots_of_row(layout, mcu_row++, slots);
            }
            for (const Slot *slot = slots; slot < slots + count; slot++) {
                int c = slot->component, difference;
                int64_t place = slot->first + (int64_t)mcu * slot->step;
                const Decoder *dc = &decoders[2 * c], *ac = dc + 1;
                int16_t *block = planes && mcu < slot->real ? planes[c] + place : dummy;
                if (planes ? read_block(&in, dc, ac, block, &difference)
                           : check_block(&in, dc, ac, runs[c], &difference))
                    return -1;
                predicted[c] += difference;
                if (predicted[c] > INT16_MAX || predicted[c] < -INT16_MAX) return -1;
                block[0] = (int16_t)predicted[c];
            }
            at = 8 * (in.next - stream) - in.bits;
            if (at > 8 * *ends) return -1;
        }
        if (8 * *ends - at >= (done < mcus ? 8 : LEFT_OVER)) return -1;
    }
    return 0;
}

/* Drops stuffing, fill bytes and restart markers. `stream` has room for as many bytes as `data`;
   ends: of `intervals` intervals. Returns the bytes left over, or -1 where the markers are not
   RST0, RST1, ... for as many intervals. */
int64_t scan_split(const uint8_t *data, int64_t size, uint8_t *stream, int64_t *ends,
                   int64_t intervals) {
    const uint8_t *end = data + size;
    uint8_t *out = stream;
    int64_t interval = 0;
    while (data < end) {
        const uint8_t *full = memchr(data, 0xFF, (size_t)(end - data));
        size_t plain = (size_t)((full ? full : end) - data);
        memcpy(out, data, plain);
        out += plain;
        if (!full) break;
        for (data = full; data < end && *data == 0xFF;) data++;
        if (data < end && *data == 0) {
            *out++ = 0xFF;
            data++;
        } else if (data < end && *data >= 0xD0 && *data <= 0xD7) {
            if (*data++ != (0xD0 | (interval & 7)) || interval + 1 >= intervals) return -1;
            ends[interval++] = out - stream;
        } else {
            return -1;
        }
    }
    if (interval + 1 != intervals) return -1;
    ends[interval] = out - stream;
    return out - stream;
}

/* The bytes of a sequential scan to blocks (T.81 F.2). Whatever is wrong ends in -1. */
#include "scan.h"

#define FAST 10 /* Bits that a table of 4 KiB looks up at once. */
#define AT_ONCE 4 /* Symbols of as many bits that fit between two refills, of 56 at least. */
#define LEFT_OVER 64 /* Bits after the last MCU that libjpeg would have read ahead. */
#define MAX_BLOCK_BYTES 256 /* No symbol with its extra bits takes more than 31 bits. */

/* What follows from the next FAST bits. */
typedef struct {
    int16_t value; /* That the symbol announces, where it is among these bits; else 0. */
    uint8_t symbol;
    uint8_t length; /* Of the code, and of the value that is there; 0: a longer code. */
} Entry;

typedef struct {
    Entry fast[1 << FAST];
    int32_t limit[LENGTHS + 1]; /* Codes of this length are below it, as 16 bits; 0: of none. */
    int32_t offset[LENGTHS + 1]; /* From a code of this length to its symbol's place. */
    const uint8_t *symbols;
} Decoder;

/* T.81 F.2.2.1: a clear first bit marks a negative value. */
INLINE int extend(int bits, int size) {
    return bits < 1 << size >> 1 ? bits - (1 << size) + 1 : bits;
}

static int64_t fill_decoder(const uint8_t *table, int64_t room, Decoder *decoder) {
    int64_t end = table_end(table, room);
    if (end < 0) return -1;
    memset(decoder, 0, sizeof *decoder);
    decoder->symbols = table + LENGTHS;
    int code = 0, place = 0;
    for (int length = 1; length <= LENGTHS; length++, code <<= 1) {
        decoder->offset[length] = place - code;
        for (int i = 0; i < table[length - 1]; i++, code++, place++) {
            int free = FAST - length, symbol = decoder->symbols[place], size = symbol & 15;
            for (int rest = 0; free >= 0 && rest < 1 << free; rest++) {
                Entry *entry = &decoder->fast[code << free | rest];
                *entry = (Entry){0, (uint8_t)symbol, (uint8_t)length};
                if (size && size <= free) {
                    entry->value = (int16_t)extend(rest >> (free - size), size);
                    entry->length += size;
                }
            }
        }
        decoder->limit[length] = code << (LENGTHS - length);
    }
    return end;
}

/* Bits from `word`'s high end down; `next` is what it is refilled from. */
typedef struct {
    const uint8_t *next;
    uint64_t word;
    int bits;
} Reader;

INLINE void refill(Reader *in) {
    uint64_t more;
    memcpy(&more, in->next, 8);
    in->word |= big_endian(more) >> in->bits;
    in->next += (63 - in->bits) >> 3;
    in->bits |= 56;
}

INLINE void skip(Reader *in, int bits) {
    in->word <<= bits;
    in->bits -= bits;
}

INLINE int take(Reader *in, int bits) {
    int value = (int)(in->word >> 32 >> (32 - bits));
    skip(in, bits);
    return value;
}

/* A symbol and its value; `*value` is 0 where it has none. Returns -1 where no code matches. */
INLINE int read_symbol(Reader *in, const Decoder *decoder, int *value) {
    refill(in);
    Entry entry = decoder->fast[in->word >> (64 - FAST)];
    *value = entry.value;
    if (entry.value) {
        skip(in, entry.length);
        return entry.symbol;
    }
    int symbol = entry.symbol;
    if (entry.length) {
        skip(in, entry.length);
    } else {
        int next = (int)(in->word >> 48), length = FAST + 1;
        while (length <= LENGTHS && next >= decoder->limit[length]) length++;
        if (length > LENGTHS) return -1;
        symbol = decoder->symbols[decoder->offset[length] + (next >> (LENGTHS - length))];
        skip(in, length);
    }
    int size = symbol & 15;
    if (size) *value = extend(take(in, size), size);
    else if (symbol != EOB && symbol != ZRL) return -1;
    return symbol;
}

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

/* `stream`: without stuffing and markers, padded with MAX_BLOCK_BYTES zeros for each block of an
   MCU and one more; ends: of each restart interval in it; tables: DHT bytes of each component's DC
   and AC table. Fills every block of the planes (rows, columns, 64). */
CLONES int scan_read(const Layout *layout, const uint8_t *stream, const int64_t *ends,
                     const uint8_t *tables, int64_t tables_size, int16_t *const *planes) {
    Decoder decoders[2 * MAX_COMPONENTS];
    for (int table = 0; table < 2 * layout->components; table++) {
        int64_t size = fill_decoder(tables, tables_size, &decoders[table]);
        if (size < 0) return -1;
        tables += size, tables_size -= size;
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
                int16_t *block = mcu < slot->real ? planes[c] + place : dummy;
                if (read_block(&in, &decoders[2 * c], &decoders[2 * c + 1], block, &difference))
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

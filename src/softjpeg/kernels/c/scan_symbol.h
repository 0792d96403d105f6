/* The next symbol of a scan, with its value (T.81 F.2.2). */
#ifndef SOFTJPEG_SCAN_SYMBOL_H
#define SOFTJPEG_SCAN_SYMBOL_H

#include "scan.h"

#define LEFT_OVER 64 /* Bits after the last MCU that libjpeg would have read ahead. */
#define FAST 10 /* Bits that a table of 4 KiB looks up at once. */

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
INLINE int next_symbol(Reader *in, const Decoder *decoder, int *value) {
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
    return symbol;
}

/* The same of a sequential scan, where other symbols without a value are none. */
INLINE int read_symbol(Reader *in, const Decoder *decoder, int *value) {
    int symbol = next_symbol(in, decoder, value);
    return symbol & 15 || symbol == EOB || symbol == ZRL ? symbol : -1;
}

#endif

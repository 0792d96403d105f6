/* Tokens to the bytes of a scan: codes, padding, stuffing, restart markers (T.81 F.1.2.3). */
#include "scan.h"

/* codes[symbol] = the code with room for its `size` bits << 8 | all their bits. */
static int64_t fill_codes(const uint8_t *table, int64_t room, uint64_t *codes) {
    int64_t end = table_end(table, room);
    if (end < 0) return -1;
    for (int symbol = 0; symbol < 256; symbol++) codes[symbol] = (uint64_t)(symbol & 15);
    const uint8_t *symbol = table + LENGTHS;
    uint64_t code = 0;
    for (int length = 1; length <= LENGTHS; length++, code <<= 1)
        for (int i = 0; i < table[length - 1]; i++, code++, symbol++) {
            int size = *symbol & 15;
            codes[*symbol] = code << size << 8 | (uint64_t)(length + size);
        }
    return end;
}

/* The bits of one restart interval; `out` has room for 4 bytes a token and 16 more. */
INLINE uint8_t *pack_interval(const uint32_t *token, const uint32_t *end, const uint64_t *codes,
                              uint8_t *out) {
    uint64_t word = 0;
    unsigned used = 0;
    while (token < end) {
        uint64_t first = codes[*token >> 16 & 2047];
        uint64_t bits = first >> 8 | (*token & 0xFFFF);
        unsigned length = first & 63;
        token++;
        if (token < end) {
            /* Two at a time: what carries over from one to the next is the slow part. */
            uint64_t second = codes[*token >> 16 & 2047];
            bits = bits << (second & 63) | second >> 8 | (*token & 0xFFFF);
            length += second & 63;
            token++;
        }
        used += length;
        word |= bits << (-used & 63);
        uint64_t stored = big_endian(word);
        memcpy(out, &stored, 8);
        out += used >> 3;
        word = word << (used & 56);
        used &= 7;
    }
    if (used) *out++ = (uint8_t)(word >> 56 | 0xFF >> used);
    return out;
}

/* tables: DHT bytes of each component's DC and AC table. `packed` has room for 4 bytes a token and
   16 more for each interval; ends: of each interval in it. Returns the bytes of the scan, or -1
   where a table is broken. */
CLONES int64_t scan_pack(const uint32_t *tokens, const int64_t *starts, int64_t intervals,
                         const uint8_t *tables, int64_t tables_size, int32_t components,
                         uint8_t *packed, int64_t *ends) {
    uint64_t codes[MAX_COMPONENTS * 512] = {0};
    for (int32_t table = 0; table < 2 * components; table++) {
        int64_t size = fill_codes(tables, tables_size, codes + 256 * table);
        if (size < 0) return -1;
        tables += size, tables_size -= size;
    }
    uint8_t *out = packed;
    for (int64_t interval = 0; interval < intervals; interval++) {
        out = pack_interval(tokens + starts[interval], tokens + starts[interval + 1], codes, out);
        ends[interval] = out - packed;
    }
    int64_t stuffed = 0;
    for (const uint8_t *byte = packed; byte < out; byte++) stuffed += *byte == 0xFF;
    return out - packed + stuffed + 2 * (intervals - 1);
}

/* `out` has room for what scan_pack returned. */
void scan_stuff(const uint8_t *packed, const int64_t *ends, int64_t intervals, uint8_t *out) {
    const uint8_t *from = packed;
    for (int64_t interval = 0; interval < intervals; interval++) {
        const uint8_t *end = packed + ends[interval];
        for (const uint8_t *full; from < end; from = full + 1) {
            full = memchr(from, 0xFF, (size_t)(end - from));
            size_t bytes = (size_t)((full ? full + 1 : end) - from);
            memcpy(out, from, bytes);
            out += bytes;
            if (!full) {
                from = end;
                break;
            }
            *out++ = 0;
        }
        if (interval + 1 < intervals) *out++ = 0xFF, *out++ = 0xD0 | (interval & 7);
    }
}

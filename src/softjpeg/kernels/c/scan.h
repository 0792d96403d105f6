/* What the parts of the entropy coder share: layouts, big-endian words. */
#ifndef SOFTJPEG_SCAN_H
#define SOFTJPEG_SCAN_H

#include <stdint.h>
#include <string.h>

#include "lanes.h"
#include "zigzag.h"

#define MAX_COMPONENTS 4
#define EOB 0x00
#define ZRL 0xF0
#define LENGTHS 16 /* Of Huffman codes: 1 to 16 bits. */

/* One component in a scan: blocks of one MCU across and down, and its real blocks. */
typedef struct {
    int32_t h, v, rows, columns;
} Component;

/* restart_interval in MCUs, 0 = off. */
typedef struct {
    int32_t components, mcu_rows, mcu_columns, restart_interval;
    Component of[MAX_COMPONENTS];
} Layout;

/* A block of an MCU, in one row of MCUs: the first of them, and how far it is to the next one.
   MCUs from `real` on have a dummy block there. */
typedef struct {
    int64_t first;
    int32_t step, real, component;
} Slot;

#define MAX_SLOTS (MAX_COMPONENTS * 16) /* Sampling factors are 4 at most. */

/* The blocks of the MCUs in a row, in scan order; `first` counts coefficients of the plane. */
INLINE int slots_of_row(const Layout *layout, int32_t mcu_row, Slot slots[MAX_SLOTS]) {
    int count = 0;
    for (int c = 0; c < layout->components; c++) {
        const Component *own = &layout->of[c];
        for (int32_t y = 0; y < own->v; y++) {
            for (int32_t x = 0, row = mcu_row * own->v + y; x < own->h; x++) {
                int32_t real = row < own->rows ? (own->columns - x + own->h - 1) / own->h : 0;
                slots[count++] = (Slot){((int64_t)row * own->columns + x) * 64, own->h * 64, real, c};
            }
        }
    }
    return count;
}

/* A word as its eight bytes stand in a file, or the other way round. */
INLINE uint64_t big_endian(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* Bits that a Huffman code is followed by: of any value but 0. */
INLINE int size_of(int value) { return 32 - __builtin_clz(value < 0 ? -value : value); }

/* Where a table ends that starts the DHT bytes `table`: 16 counts of codes of each length, symbols.
   Returns -1 where it is cut off or has more codes than fit. */
INLINE int64_t table_end(const uint8_t *table, int64_t room) {
    int64_t symbols = 0, words = 0;
    if (room < LENGTHS) return -1;
    for (int length = 1; length <= LENGTHS; length++) {
        symbols += table[length - 1];
        words += (int64_t)table[length - 1] << (LENGTHS - length);
    }
    return symbols > 256 || LENGTHS + symbols > room || words > 65536 ? -1 : LENGTHS + symbols;
}

#endif

/* Optimal Huffman tables (T.81 K.2), as a DHT segment holds them: 16 counts of codes of each length,
   then the symbols. */
#include "scan.h"

#define RESERVED 256
#define MAX_TABLE (LENGTHS + 256)
/* The sum of all frequencies leaves room for a label beside it. */
#define MAX_COUNT ((int64_t)1 << 45)

INLINE void sift_down(int64_t *heap, int size, int64_t node) {
    int at = 0;
    for (int child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && heap[child + 1] < heap[child]) child++;
        if (node <= heap[child]) break;
        heap[at] = heap[child];
    }
    heap[at] = node;
}

/* The Huffman tree's depth of every leaf. Nodes carry their rarest child's label; a node sorts by
   frequency, then by descending label. */
static void tree_depths(const int *labels, const int64_t *frequencies, int leaves, int *depths) {
    int64_t heap[RESERVED + 1];
    int node_of[RESERVED + 1], parents[2 * RESERVED + 1], depth[2 * RESERVED + 1];
    int nodes = 2 * leaves - 1, size = leaves;
    for (int leaf = 0; leaf < leaves; leaf++) node_of[labels[leaf]] = leaf;
    for (int built = 0; built < leaves; built++) {
        int64_t node = frequencies[built] << 9 | (RESERVED - labels[built]);
        int at = built;
        for (; at && node < heap[(at - 1) / 2]; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        heap[at] = node;
    }
    for (int node = leaves; node < nodes; node++) {
        int64_t rarest = heap[0];
        sift_down(heap, size - 1, heap[size - 1]);
        size--;
        int64_t second = heap[0];
        int label = RESERVED - (int)(rarest & 511);
        parents[node_of[label]] = parents[node_of[RESERVED - (int)(second & 511)]] = node;
        node_of[label] = node;
        sift_down(heap, size, rarest + (second >> 9 << 9));
    }
    depth[nodes - 1] = 0;
    for (int node = nodes - 2; node >= 0; node--) depth[node] = depth[parents[node]] + 1;
    memcpy(depths, depth, (size_t)leaves * sizeof *depths);
}

/* Codes longer than 16 bits move up the tree (T.81 figure K.3). */
static void limit_lengths(int *histogram, int longest) {
    for (int length = longest; length > LENGTHS; length--) {
        while (histogram[length]) {
            int shorter = length - 2;
            while (!histogram[shorter]) shorter--;
            histogram[length] -= 2;
            histogram[length - 1]++;
            histogram[shorter + 1] += 2;
            histogram[shorter]--;
        }
    }
}

/* Returns the table's bytes. `bits`: what all codes together take. */
static int optimal_table(const int64_t *counts, uint8_t *table, int64_t *bits) {
    int labels[RESERVED + 1], depths[RESERVED + 1], leaves = 0;
    int histogram[RESERVED + LENGTHS + 2] = {0}, first[RESERVED + 2] = {0};
    int64_t frequencies[RESERVED + 1];
    for (int symbol = 0; symbol < RESERVED; symbol++)
        if (counts[symbol]) labels[leaves] = symbol, frequencies[leaves++] = counts[symbol];
    labels[leaves] = RESERVED, frequencies[leaves++] = 1;
    tree_depths(labels, frequencies, leaves, depths);

    for (int leaf = 0; leaf < leaves; leaf++) histogram[depths[leaf]]++;
    limit_lengths(histogram, RESERVED);
    if (leaves > 1) {
        int longest = LENGTHS;
        while (!histogram[longest]) longest--;
        histogram[longest]--;
    }
    for (int length = 0; length < LENGTHS; length++) table[length] = (uint8_t)histogram[length + 1];

    /* Symbols by depth in the tree, then by value: a counting sort. */
    uint8_t *values = table + LENGTHS;
    for (int leaf = 0; leaf < leaves - 1; leaf++) first[depths[leaf] + 1]++;
    for (int depth = 0; depth <= RESERVED; depth++) first[depth + 1] += first[depth];
    for (int leaf = 0; leaf < leaves - 1; leaf++) values[first[depths[leaf]]++] = labels[leaf];
    *bits = 0;
    for (int length = 1, at = 0; length <= LENGTHS; length++)
        for (int i = 0; i < table[length - 1]; i++) *bits += length * counts[values[at++]];
    return LENGTHS + leaves - 1;
}

/* Optimal tables of `count` rows of 256 symbol counts: tables (count, MAX_TABLE), the bytes of each
   and the bits of its codes. Returns -1 where counts are negative or too great. */
int huffman_optimal(const int64_t *counts, int64_t count, uint8_t *tables, int32_t *sizes,
                    int64_t *bits) {
    for (int64_t row = 0; row < count; row++, counts += 256) {
        for (int symbol = 0; symbol < 256; symbol++)
            if (counts[symbol] < 0 || counts[symbol] > MAX_COUNT) return -1;
        sizes[row] = optimal_table(counts, tables + row * MAX_TABLE, bits + row);
    }
    return 0;
}

/* The entropy coder of baseline JPEG (ITU-T T.81) as one unit. */
#include "scan_huffman.c"
#include "scan_read.c"
#include "scan_symbols.c"
#include "scan_write.c"

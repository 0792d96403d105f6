/* The orthonormal 8x8 DCT-II of JPEG (T.81, A.3.3) and its inverse, of LANES blocks at once.
   Each is the other's adjoint. Even and odd parts are 4x4 products: 32 multiplications a row. */
#ifndef SOFTJPEG_DCT_H
#define SOFTJPEG_DCT_H

#include "lanes.h"

/* sqrt(2) cos(k pi / 16), with which k = 4 is 1: sums that JPEG has exactly stay exact. */
#define C1 1.38703984532214752f
#define C2 1.30656296487637658f
#define C3 1.17587560241935885f
#define C5 0.78569495838710235f
#define C6 0.54119610014619712f
#define C7 0.27589937928294311f

/* Eight vectors, `stride` apart, to sqrt(8) `scale` times their DCT in place. */
INLINE void dct8(Lanes *x, int stride, float scale) {
    const float c1 = scale * C1, c2 = scale * C2, c3 = scale * C3, c5 = scale * C5;
    const float c6 = scale * C6, c7 = scale * C7;
    EACH_LANE {
        float a = x[0][l], b = x[stride][l], c = x[2 * stride][l], d = x[3 * stride][l];
        float e = x[4 * stride][l], f = x[5 * stride][l], g = x[6 * stride][l], h = x[7 * stride][l];
        float s0 = a + h, s1 = b + g, s2 = c + f, s3 = d + e;
        float t0 = a - h, t1 = b - g, t2 = c - f, t3 = d - e;
        float p = s0 + s3, q = s1 + s2, r = s0 - s3, s = s1 - s2;
        x[0][l] = scale * (p + q);
        x[4 * stride][l] = scale * (p - q);
        x[2 * stride][l] = c2 * r + c6 * s;
        x[6 * stride][l] = c6 * r - c2 * s;
        x[stride][l] = c1 * t0 + c3 * t1 + c5 * t2 + c7 * t3;
        x[3 * stride][l] = c3 * t0 - c7 * t1 - c1 * t2 - c5 * t3;
        x[5 * stride][l] = c5 * t0 - c1 * t1 + c7 * t2 + c3 * t3;
        x[7 * stride][l] = c7 * t0 - c5 * t1 + c3 * t2 - c1 * t3;
    }
}

/* The same of the inverse. */
INLINE void idct8(Lanes *x, int stride, float scale) {
    const float c1 = scale * C1, c2 = scale * C2, c3 = scale * C3, c5 = scale * C5;
    const float c6 = scale * C6, c7 = scale * C7;
    EACH_LANE {
        float a = x[0][l], b = x[stride][l], c = x[2 * stride][l], d = x[3 * stride][l];
        float e = x[4 * stride][l], f = x[5 * stride][l], g = x[6 * stride][l], h = x[7 * stride][l];
        float p = scale * (a + e), q = scale * (a - e), r = c2 * c + c6 * g, s = c6 * c - c2 * g;
        float s0 = p + r, s3 = p - r, s1 = q + s, s2 = q - s;
        float t0 = c1 * b + c3 * d + c5 * f + c7 * h;
        float t1 = c3 * b - c7 * d - c1 * f - c5 * h;
        float t2 = c5 * b - c1 * d + c7 * f + c3 * h;
        float t3 = c7 * b - c5 * d + c3 * f - c1 * h;
        x[0][l] = s0 + t0;
        x[stride][l] = s1 + t1;
        x[2 * stride][l] = s2 + t2;
        x[3 * stride][l] = s3 + t3;
        x[4 * stride][l] = s3 - t3;
        x[5 * stride][l] = s2 - t2;
        x[6 * stride][l] = s1 - t1;
        x[7 * stride][l] = s0 - t0;
    }
}

/* LANES blocks of samples, raster order, to coefficients in place. */
INLINE void block_dct(Lanes x[64]) {
    for (int row = 0; row < 8; row++) dct8(x + 8 * row, 1, 1);
    for (int column = 0; column < 8; column++) dct8(x + column, 8, 0.125f);
}

/* LANES blocks of coefficients to samples in place. */
INLINE void block_idct(Lanes x[64]) {
    for (int column = 0; column < 8; column++) idct8(x + column, 8, 1);
    for (int row = 0; row < 8; row++) idct8(x + 8 * row, 1, 0.125f);
}

#endif

/* The orthonormal 8x8 DCT-II of JPEG (T.81, A.3.3) and its inverse, of LANES blocks at once.
   Each is the other's adjoint. Even and odd parts are 4x4 products: 32 multiplications a row. */
#ifndef SOFTJPEG_DCT_H
#define SOFTJPEG_DCT_H

#include "lanes.h"

/* cos(k pi / 16) / 2; with k = 4 also the DC's 1 / sqrt(8). */
#define C1 0.49039264020161522f
#define C2 0.46193976625564337f
#define C3 0.41573480615127262f
#define C4 0.35355339059327376f
#define C5 0.27778511650980111f
#define C6 0.19134171618254489f
#define C7 0.09754516100806413f

/* Eight vectors, `stride` apart, to their DCT in place. */
INLINE void dct8(Lanes *x, int stride) {
    EACH_LANE {
        float a = x[0][l], b = x[stride][l], c = x[2 * stride][l], d = x[3 * stride][l];
        float e = x[4 * stride][l], f = x[5 * stride][l], g = x[6 * stride][l], h = x[7 * stride][l];
        float s0 = a + h, s1 = b + g, s2 = c + f, s3 = d + e;
        float t0 = a - h, t1 = b - g, t2 = c - f, t3 = d - e;
        float p = s0 + s3, q = s1 + s2, r = s0 - s3, s = s1 - s2;
        x[0][l] = C4 * (p + q);
        x[4 * stride][l] = C4 * (p - q);
        x[2 * stride][l] = C2 * r + C6 * s;
        x[6 * stride][l] = C6 * r - C2 * s;
        x[stride][l] = C1 * t0 + C3 * t1 + C5 * t2 + C7 * t3;
        x[3 * stride][l] = C3 * t0 - C7 * t1 - C1 * t2 - C5 * t3;
        x[5 * stride][l] = C5 * t0 - C1 * t1 + C7 * t2 + C3 * t3;
        x[7 * stride][l] = C7 * t0 - C5 * t1 + C3 * t2 - C1 * t3;
    }
}

/* The inverse of dct8, in place. */
INLINE void idct8(Lanes *x, int stride) {
    EACH_LANE {
        float a = x[0][l], b = x[stride][l], c = x[2 * stride][l], d = x[3 * stride][l];
        float e = x[4 * stride][l], f = x[5 * stride][l], g = x[6 * stride][l], h = x[7 * stride][l];
        float p = C4 * (a + e), q = C4 * (a - e), r = C2 * c + C6 * g, s = C6 * c - C2 * g;
        float s0 = p + r, s3 = p - r, s1 = q + s, s2 = q - s;
        float t0 = C1 * b + C3 * d + C5 * f + C7 * h;
        float t1 = C3 * b - C7 * d - C1 * f - C5 * h;
        float t2 = C5 * b - C1 * d + C7 * f + C3 * h;
        float t3 = C7 * b - C5 * d + C3 * f - C1 * h;
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
    for (int row = 0; row < 8; row++) dct8(x + 8 * row, 1);
    for (int column = 0; column < 8; column++) dct8(x + column, 8);
}

/* LANES blocks of coefficients to samples in place. */
INLINE void block_idct(Lanes x[64]) {
    for (int column = 0; column < 8; column++) idct8(x + column, 8);
    for (int row = 0; row < 8; row++) idct8(x + 8 * row, 1);
}

#endif

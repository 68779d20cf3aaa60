#include <string.h>

#include "kernels/resize/resize.h"

/* The compiler's generic vectors, on whatever registers there are. */
typedef unsigned int sums4 __attribute__((vector_size(16)));

#define LANES 4
#define VECTOR sums4
#define WIDEN(p) ((sums4){(p)[0], (p)[1], (p)[2], (p)[3]})
#define SPREAD(k) ((sums4){(unsigned)(k), (unsigned)(k), (unsigned)(k), (unsigned)(k)})
#define MULTIPLY_ADD(s, a, b) ((s) + (a) * (b))
#define LOAD(p) load(p)
#define STORE(p, v) memcpy(p, &(v), sizeof(v))
#define NARROW(p, v) narrow(p, v)
#define KERNEL cl_resize_sum_scalar

static inline sums4 load(const int *numbers) {
    sums4 v;
    memcpy(&v, numbers, sizeof v);
    return v;
}

static inline void narrow(unsigned char *out, sums4 v) {
    for (int i = 0; i < LANES; i++) {
        int shifted = (int)v[i] >> CL_RESIZE_BITS;
        out[i] = (unsigned char)(shifted < 0 ? 0 : shifted > 255 ? 255 : shifted);
    }
}

#include "kernels/resize/kernel.h"

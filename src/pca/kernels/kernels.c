#include "pca/kernels/kernels.h"

#include <stddef.h>

extern const cl_pca_kernels cl_pca_kernels_scalar;
#if defined(__x86_64__)
extern const cl_pca_kernels cl_pca_kernels_avx2, cl_pca_kernels_avx512;
#elif defined(__aarch64__)
extern const cl_pca_kernels cl_pca_kernels_neon;
#endif

const cl_pca_kernels *cl_pca_kernels_for(cl_cpu_level level) {
    if (!cl_cpu_supports(level)) return NULL;
    switch (level) {
#if defined(__x86_64__)
    case CL_CPU_AVX512: return &cl_pca_kernels_avx512;
    case CL_CPU_AVX2: return &cl_pca_kernels_avx2;
#elif defined(__aarch64__)
    case CL_CPU_NEON: return &cl_pca_kernels_neon;
#endif
    default: return &cl_pca_kernels_scalar;
    }
}

const cl_pca_kernels *cl_pca_kernels_get(void) { return cl_pca_kernels_for(cl_cpu()); }

#include "kernels/resize/resize.h"

void cl_resize_sum_scalar(const cl_resize_sum *sum);
void cl_resize_sum_avx2(const cl_resize_sum *sum);
void cl_resize_sum_avx512(const cl_resize_sum *sum);
void cl_resize_sum_neon(const cl_resize_sum *sum);

cl_resize_kernel cl_resize_kernel_for(cl_cpu_level level) {
    switch (level) {
#if defined(__x86_64__)
    case CL_CPU_AVX512: return cl_resize_sum_avx512;
    case CL_CPU_AVX2: return cl_resize_sum_avx2;
#elif defined(__aarch64__)
    case CL_CPU_NEON: return cl_resize_sum_neon;
#endif
    default: return cl_resize_sum_scalar;
    }
}

#include "kernels/kernels.h"

#include <stddef.h>

/* Declares the kernels of one instruction set and fills its table. */
#define TABLE(set, lane_count)                                                                                         \
    int64_t cl_gemm_packed_count_##set(int64_t k, int64_t columns);                                                    \
    void cl_gemm_pack_##set(int64_t k, int64_t columns, const float *b, int64_t row_stride, int64_t column_stride,     \
                            float *packed);                                                                            \
    void cl_gemm_##set(const cl_gemm *gemm);                                                                           \
    void cl_depthwise_##set(const cl_depthwise *rows);                                                                 \
    void cl_winograd_input_##set(const cl_winograd_input *tile);                                                       \
    void cl_winograd_output_##set(const cl_winograd_output *tile);                                                     \
    void cl_arithmetic_##set(const cl_arithmetic *arithmetic);                                                         \
    void cl_activate_##set(const cl_activation *activation, int64_t count, const float *in, float *out);               \
    void cl_scale_##set(const float *in, int64_t pixels, int64_t channels, const float *scale, const float *shift,     \
                        float low, float high, float *out);                                                            \
    void cl_maximum_##set(const float *const *pixels, int64_t count, int64_t channels, float *out);                    \
    void cl_sum_##set(const float *const *pixels, int64_t count, int64_t channels, float factor, float *out);          \
    void cl_layer_norm_##set(const cl_layer_norm *rows);                                                               \
    void cl_softmax_##set(const cl_softmax *rows);                                                                     \
    static const cl_kernels set##_kernels = {                                                                          \
        .name = #set,                                                                                                  \
        .lanes = lane_count,                                                                                           \
        .gemm_packed_count = cl_gemm_packed_count_##set,                                                               \
        .gemm_pack = cl_gemm_pack_##set,                                                                               \
        .gemm = cl_gemm_##set,                                                                                         \
        .depthwise = cl_depthwise_##set,                                                                               \
        .winograd_input = cl_winograd_input_##set,                                                                     \
        .winograd_output = cl_winograd_output_##set,                                                                   \
        .arithmetic = cl_arithmetic_##set,                                                                             \
        .activate = cl_activate_##set,                                                                                 \
        .scale = cl_scale_##set,                                                                                       \
        .maximum = cl_maximum_##set,                                                                                   \
        .sum = cl_sum_##set,                                                                                           \
        .layer_norm = cl_layer_norm_##set,                                                                             \
        .softmax = cl_softmax_##set,                                                                                   \
    };

TABLE(scalar, 4)
#if defined(__x86_64__)
TABLE(avx2, 8)
TABLE(avx512, 16)
#elif defined(__aarch64__)
TABLE(neon, 4)
#endif

const cl_kernels *cl_kernels_for(cl_cpu_level level) {
    if (!cl_cpu_supports(level)) return NULL;
    switch (level) {
#if defined(__x86_64__)
    case CL_CPU_AVX512: return &avx512_kernels;
    case CL_CPU_AVX2: return &avx2_kernels;
#elif defined(__aarch64__)
    case CL_CPU_NEON: return &neon_kernels;
#endif
    default: return &scalar_kernels;
    }
}

const cl_kernels *cl_kernels_get(void) { return cl_kernels_for(cl_cpu()); }

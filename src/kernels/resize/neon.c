#include <arm_neon.h>

#include "kernels/resize/resize.h"

#define LANES 8
#define VECTOR int32x4x2_t
#define WIDEN(p) widen(p)
#define SPREAD(k) ((int32x4x2_t){{vdupq_n_s32(k), vdupq_n_s32(k)}})
#define MULTIPLY_ADD(s, a, b)                                                                                          \
    ((int32x4x2_t){{vmlaq_s32((s).val[0], (a).val[0], (b).val[0]), vmlaq_s32((s).val[1], (a).val[1], (b).val[1])}})
#define LOAD(p) ((int32x4x2_t){{vld1q_s32(p), vld1q_s32((p) + 4)}})
#define STORE(p, v) (vst1q_s32(p, (v).val[0]), vst1q_s32((p) + 4, (v).val[1]))
#define NARROW(p, v)                                                                                                   \
    vst1_u8(p, vqmovun_s16(vcombine_s16(vqmovn_s32(vshrq_n_s32((v).val[0], CL_RESIZE_BITS)),                           \
                                        vqmovn_s32(vshrq_n_s32((v).val[1], CL_RESIZE_BITS)))))
#define KERNEL cl_resize_sum_neon

static inline __attribute__((always_inline)) int32x4x2_t widen(const unsigned char *bytes) {
    uint16x8_t words = vmovl_u8(vld1_u8(bytes));
    return (int32x4x2_t){{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words))),
                          vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(words)))}};
}

#include "kernels/resize/kernel.h"

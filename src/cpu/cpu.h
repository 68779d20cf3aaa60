/* What this processor has, found out once. */
#pragma once

#include "base/base.h"

/* The instruction sets kernels are compiled for, a higher number being preferred. */
typedef enum cl_cpu_level { CL_CPU_SCALAR = 0, CL_CPU_NEON = 1, CL_CPU_AVX2 = 2, CL_CPU_AVX512 = 3 } cl_cpu_level;

/* Whether this processor and its operating system can run code of that level. */
bool cl_cpu_supports(cl_cpu_level level);

/* Instructions beside the levels: products of pairs of bfloat16, and of four bytes. */
typedef enum cl_cpu_extra { CL_CPU_AVX512_BF16, CL_CPU_AVX512_VNNI } cl_cpu_extra;

/* Whether this processor and its operating system can run them. */
bool cl_cpu_has(cl_cpu_extra extra);

/* The best level this processor and its operating system support, or the one
 * named by COULIS_CPU (scalar, neon, avx2, avx512) when that is supported; a word that is not
 * known or not supported is ignored. Decided at the first call, then fixed. */
cl_cpu_level cl_cpu(void);

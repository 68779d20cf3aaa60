#include "cpu/cpu.h"

#include <stdlib.h>

#include "base/sync.h"

static const char *const level_names[] = {"scalar", "neon", "avx2", "avx512"};

bool cl_cpu_supports(cl_cpu_level level) {
    switch (level) {
    case CL_CPU_SCALAR: return true;
#if defined(__x86_64__)
    /* The compiler's own check asks the operating system too (XGETBV). */
    case CL_CPU_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CL_CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
    case CL_CPU_NEON: return true;
#endif
    default: return false;
    }
}

bool cl_cpu_has(cl_cpu_extra extra) {
#if defined(__x86_64__)
    switch (extra) {
    case CL_CPU_AVX512_BF16: return cl_cpu_supports(CL_CPU_AVX512) && __builtin_cpu_supports("avx512bf16");
    case CL_CPU_AVX512_VNNI: return cl_cpu_supports(CL_CPU_AVX512) && __builtin_cpu_supports("avx512vnni");
    }
#endif
    (void)extra;
    return false;
}

static cl_cpu_level chosen;
static cl_once once = CL_ONCE_INIT;

static void choose(void) {
    for (int level = CL_CPU_AVX512; level >= CL_CPU_SCALAR; level--) {
        if (cl_cpu_supports((cl_cpu_level)level)) {
            chosen = (cl_cpu_level)level;
            break;
        }
    }
    const char *wanted = getenv("COULIS_CPU");
    for (int level = CL_CPU_SCALAR; wanted && level <= CL_CPU_AVX512; level++)
        if (strcmp(wanted, level_names[level]) == 0 && cl_cpu_supports((cl_cpu_level)level))
            chosen = (cl_cpu_level)level;
}

cl_cpu_level cl_cpu(void) {
    cl_call_once(&once, choose);
    return chosen;
}

const char *coulis_instruction_set(void) { return level_names[cl_cpu()]; }

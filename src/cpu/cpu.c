#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/sync.h"
#include "coulis.h"

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

#if defined(__x86_64__)
/* Bits of CPUID leaf 7, EDX, and of XCR0: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
 * chapter 18. */
#define AMX_BITS (1u << 22 | 1u << 24 | 1u << 25) /* bfloat16, tiles, bytes */
#define OSXSAVE_BIT (1u << 27)
#define TILE_STATE 18
#define TILE_STATES (3u << 17) /* configuration and data */

static bool has_tiles(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE_BIT)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_BITS) != AMX_BITS) return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & TILE_STATES) != TILE_STATES) return false;
#if defined(__linux__)
    /* Linux lets a process use tiles only after it has asked: Documentation/arch/x86/xstate.rst. */
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, TILE_STATE) == 0;
#else
    return false;
#endif
}
#endif

bool cl_cpu_has(cl_cpu_extra extra) {
#if defined(__x86_64__)
    switch (extra) {
    case CL_CPU_AVX512_BF16: return cl_cpu_supports(CL_CPU_AVX512) && __builtin_cpu_supports("avx512bf16");
    case CL_CPU_AMX: return cl_cpu_has(CL_CPU_AVX512_BF16) && cl_cpu_has(CL_CPU_AVX512_VNNI) && has_tiles();
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
    for (int level = CL_CPU_SCALAR; wanted && level <= CL_CPU_AVX512; level++) {
        if (strcmp(wanted, level_names[level]) == 0 && cl_cpu_supports((cl_cpu_level)level))
            chosen = (cl_cpu_level)level;
    }
}

cl_cpu_level cl_cpu(void) {
    cl_call_once(&once, choose);
    return chosen;
}

const char *coulis_instruction_set(void) { return level_names[cl_cpu()]; }

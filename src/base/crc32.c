#include "base/crc32.h"

#include <zlib.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* From so many bytes on the reduction at the end is worth it. */
#define FOLDED_BYTES 256

/* V. Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009), bits
 * reflected: four times 16 bytes are folded over those 64 bytes further on, in the end into one, whose checksum is that
 * of all before. The constants are x^n mod P, reflected, for n = 512 + 32 and 512 - 32, then 128 + 32 and 128 - 32. */
__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i x, __m128i by, __m128i next) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
}

__attribute__((target("pclmul,sse4.1"))) static uint32_t crc32_folded(uint32_t crc, const uint8_t *bytes,
                                                                      size_t blocks) {
    const __m128i far = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), near = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i *next = (const __m128i *)bytes;
    __m128i x[4];
    for (int i = 0; i < 4; i++) x[i] = _mm_loadu_si128(next++);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)~crc));
    while (--blocks)
        for (int i = 0; i < 4; i++) x[i] = fold(x[i], far, _mm_loadu_si128(next++));
    for (int i = 0; i < 3; i++) x[i + 1] = fold(x[i], near, x[i + 1]);
    uint8_t all[16];
    _mm_storeu_si128((__m128i *)all, x[3]);
    return (uint32_t)crc32(UINT32_MAX, all, sizeof all); /* zlib inverts what it begins with: that is 0 here */
}
#endif

uint32_t cl_crc32(uint32_t crc, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
#if defined(__x86_64__)
    if (size >= FOLDED_BYTES && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        crc = crc32_folded(crc, at, size / 64);
        at += size / 64 * 64;
        size %= 64;
    }
#endif
    return (uint32_t)crc32_z(crc, at, size);
}

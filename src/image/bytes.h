/* Numbers in the byte order of a file. */
#pragma once

#include "base/base.h"

static inline uint32_t cl_big16(const uint8_t *b) { return (uint32_t)b[0] << 8 | b[1]; }
static inline uint32_t cl_big32(const uint8_t *b) { return cl_big16(b) << 16 | cl_big16(b + 2); }
static inline uint32_t cl_little16(const uint8_t *b) { return (uint32_t)b[1] << 8 | b[0]; }
static inline uint32_t cl_little32(const uint8_t *b) { return cl_little16(b + 2) << 16 | cl_little16(b); }

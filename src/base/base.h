/* What nearly every file uses: every header but those of kernels includes it, or another that does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "coulis.h"

static inline int64_t cl_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

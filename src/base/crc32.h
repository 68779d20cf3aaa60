/* CRC-32 of ISO 3309, as zlib, PNG, zip and Parquet have it. */
#pragma once

#include "base/base.h"

/* The checksum of bytes whose beginning has `crc` (0: they begin here), goes on over `size` more. */
uint32_t cl_crc32(uint32_t crc, const void *bytes, size_t size);

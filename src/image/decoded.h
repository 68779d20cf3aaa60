/* A decoder over pixels that the caller has decoded already. */
#pragma once

#include "image/decoder.h"

/* Checks `pixels`, whose bytes must outlive the decoder. Refuses what a header could claim, too: no side may be 0, and
 * there may not be more pixels than the source's options allow. */
coulis_status cl_decoded_open(cl_source *image, const coulis_pixels *pixels, cl_decoder **decoder);

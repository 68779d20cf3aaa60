/* One channel composited over white, rounded as Pillow's paste with a mask rounds. */
#ifndef CL_IMAGE_OVER_WHITE_H
#define CL_IMAGE_OVER_WHITE_H

#include <stdint.h>

static inline uint8_t cl_over_white(uint8_t value, uint8_t alpha) {
    uint32_t sum = 255u * (255u - alpha) + (uint32_t)value * alpha + 128;
    return (uint8_t)(((sum >> 8) + sum) >> 8);
}

#endif
